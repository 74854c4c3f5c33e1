# library.cmake - the libraries that are installed: libeffnet and libeffnet-inference, each as lib*.so with a SONAME and
# versioned symbols and as lib*.a, which is one object file. In both, the symbols of effnet.h are global and no others, so
# that a program may have functions of any name. The tests link libeffnet (libeffnet_inside.a), which is never installed
# and hides nothing. A sanitized build, which is for the tests, has none of these.
add_custom_target(effnet_libraries)

# Before 1.0 each minor version may change the interface, so it is part of the name that programs ask for.
set(EFFNET_SOVERSION ${PROJECT_VERSION_MAJOR})
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(EFFNET_SOVERSION 0.${PROJECT_VERSION_MINOR})
endif()
configure_file(cmake/effnet.map.in effnet.map @ONLY)

# Where the objects hold a compiler's own code (-flto), making one of them is where it becomes the processor's.
string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
separate_arguments(EFFNET_RELOCATABLE UNIX_COMMAND "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${build_type}}")
if(CMAKE_INTERPROCEDURAL_OPTIMIZATION OR "${EFFNET_RELOCATABLE}" MATCHES "-flto")
    if(CMAKE_C_COMPILER_ID STREQUAL GNU)
        list(APPEND EFFNET_RELOCATABLE -flto=auto -flinker-output=nolto-rel)
    else()
        list(APPEND EFFNET_RELOCATABLE -fuse-ld=lld)
    endif()
endif()

# effnet_library(NAME FILE OBJECTS NEEDS): targets NAME_static (libFILE.a) and NAME_shared (libFILE.so) of the objects,
# the latter linked with what they need.
function(effnet_library name file objects needs)
    if(EFFNET_SANITIZE OR EFFNET_FUZZ)
        return()
    endif()
    # One relocatable file of all objects, then every name that does not begin with effnet_ made local. What a program can
    # do without (base/linked.h) it need not link; effnet.pc and effnetConfig.cmake link it whatever
    # --as-needed says, which a weak name alone does not outweigh.
    set(whole ${PROJECT_BINARY_DIR}/${name}_whole.o)
    add_custom_command(OUTPUT ${whole}
                       COMMAND ${CMAKE_C_COMPILER} ${EFFNET_RELOCATABLE} -r -nostdlib -o ${whole} ${objects}
                       COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=effnet_* --localize-symbol=effnet_proto__*
                               --weaken-symbol=TIFF* --weaken-symbol=DGif* --weaken-symbol=Gif*
                               --weaken-symbol=utf8proc_* ${whole}
                       DEPENDS ${objects} COMMAND_EXPAND_LISTS VERBATIM)
    add_library(${name}_static STATIC ${whole})
    set_source_files_properties(${whole} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
    set_target_properties(${name}_static PROPERTIES OUTPUT_NAME ${file} LINKER_LANGUAGE C)
    add_dependencies(effnet_libraries ${name}_static)
    if(NOT EFFNET_SHARED)
        return()
    endif()
    add_library(${name}_shared SHARED ${objects})
    set_target_properties(${name}_shared PROPERTIES OUTPUT_NAME ${file} VERSION ${PROJECT_VERSION}
                          SOVERSION ${EFFNET_SOVERSION} LINK_DEPENDS ${PROJECT_BINARY_DIR}/effnet.map LINKER_LANGUAGE C)
    target_link_libraries(${name}_shared PRIVATE ${needs})
    target_link_options(${name}_shared PRIVATE LINKER:--version-script=${PROJECT_BINARY_DIR}/effnet.map LINKER:-z,defs
                        LINKER:--as-needed)
    add_dependencies(effnet_libraries ${name}_shared)
endfunction()
