# library.cmake - the two libraries that are installed: libeffnet.so with a SONAME and versioned symbols, and libeffnet.a,
# which is one object file. In both, the symbols of effnet.h are global and no others, so that a program may have
# functions of any name. The tests link libeffnet (libeffnet_inside.a), which is never installed and hides nothing.
# A sanitized build, which is for the tests, has neither.
if(EFFNET_SANITIZE OR EFFNET_FUZZ)
    return()
endif()

# One relocatable file of all objects, then every name that does not begin with effnet_ made local. Where the objects hold
# a compiler's own code (-flto), this is where it becomes the processor's.
string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
separate_arguments(flags UNIX_COMMAND "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${build_type}}")
if(CMAKE_INTERPROCEDURAL_OPTIMIZATION OR "${flags}" MATCHES "-flto")
    if(CMAKE_C_COMPILER_ID STREQUAL GNU)
        list(APPEND flags -flto=auto -flinker-output=nolto-rel)
    else()
        list(APPEND flags -fuse-ld=lld)
    endif()
endif()
set(whole ${PROJECT_BINARY_DIR}/effnet_whole.o)
add_custom_command(OUTPUT ${whole}
                   COMMAND ${CMAKE_C_COMPILER} ${flags} -r -nostdlib -o ${whole} $<TARGET_OBJECTS:effnet_objects>
                           ${EFFNET_KERNEL_OBJECTS}
                   COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=effnet_* --localize-symbol=effnet_proto__* ${whole}
                   DEPENDS effnet_objects $<TARGET_OBJECTS:effnet_objects> ${EFFNET_KERNEL_OBJECTS}
                   COMMAND_EXPAND_LISTS VERBATIM)
add_library(effnet_static STATIC ${whole})
set_source_files_properties(${whole} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
set_target_properties(effnet_static PROPERTIES OUTPUT_NAME effnet LINKER_LANGUAGE C)

add_custom_target(effnet_libraries)
add_dependencies(effnet_libraries effnet_static)
if(EFFNET_SHARED)
    # Before 1.0 each minor version may change the interface, so it is part of the name that programs ask for.
    set(EFFNET_SOVERSION ${PROJECT_VERSION_MAJOR})
    if(PROJECT_VERSION_MAJOR EQUAL 0)
        set(EFFNET_SOVERSION 0.${PROJECT_VERSION_MINOR})
    endif()
    configure_file(cmake/effnet.map.in effnet.map @ONLY)
    add_library(effnet_shared SHARED $<TARGET_OBJECTS:effnet_objects> ${EFFNET_KERNEL_OBJECTS})
    set_target_properties(effnet_shared PROPERTIES OUTPUT_NAME effnet VERSION ${PROJECT_VERSION}
                          SOVERSION ${EFFNET_SOVERSION} LINK_DEPENDS ${PROJECT_BINARY_DIR}/effnet.map LINKER_LANGUAGE C)
    target_link_libraries(effnet_shared PRIVATE ${EFFNET_NEEDS})
    target_link_options(effnet_shared PRIVATE LINKER:--version-script=${PROJECT_BINARY_DIR}/effnet.map LINKER:-z,defs
                        LINKER:--no-undefined-version)
    add_dependencies(effnet_libraries effnet_shared)
endif()
