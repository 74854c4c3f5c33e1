# inference_program.cmake - the program for devices: effnet with the verbs that run a model (verbs.def), of the objects of
# libeffnet-inference. In a whole build it is inference/effnet (target effnet_device), built when it is asked for and for its
# package; with EFFNET_INFERENCE_ONLY it is the program. static/effnet (effnet_device_static), with EFFNET_STATIC the program, is
# the same with nothing left to load, of the libraries' archives.
set(sources main help_forms options output_file picture_list predict_explain predict_features predict_forms roomy_stack standard_streams
    text text_card verb_completion verb_predict verb_serve verb_version)
list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/src/cli/)
list(TRANSFORM sources APPEND .c)
list(APPEND sources ${PROJECT_SOURCE_DIR}/src/cli/interrupt.c) # of serve, and of what reads long

# effnet_inference_program(NAME FOLDER SERVES): the objects of the program, and the program without libraries.
function(effnet_inference_program name folder serves)
    add_executable(${name} EXCLUDE_FROM_ALL ${sources} ${EFFNET_INFERENCE_OBJECTS} $<TARGET_OBJECTS:effnet_no_device>)
    target_include_directories(${name} PRIVATE include)
    target_include_directories(${name} SYSTEM PRIVATE ${JANSSON_INCLUDE_DIRS} ${MICROHTTPD_INCLUDE_DIRS})
    target_compile_definitions(${name} PRIVATE EFFNET_INFERENCE_ONLY)
    target_link_libraries(${name} PRIVATE effnet_flags)
    target_link_options(${name} PRIVATE LINKER:--gc-sections)
    set_target_properties(${name} PROPERTIES OUTPUT_NAME effnet RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder})
    if(serves)
        target_sources(${name} PRIVATE ${SERVE_SOURCES})
        target_compile_definitions(${name} PRIVATE EFFNET_SERVE)
    endif()
endfunction()

effnet_inference_program(effnet_device inference "${MICROHTTPD_FOUND}")
target_link_libraries(effnet_device PRIVATE ${EFFNET_INFERENCE_NEEDS})
if(MICROHTTPD_FOUND)
    target_link_libraries(effnet_device PRIVATE PkgConfig::MICROHTTPD)
endif()

# The static one, of libraries' archives (lib*.a). Those of Debian lack libspng's, and its libmicrohttpd.a wants GnuTLS, which
# has none: without the first PNG is neither read nor written (base/linked.h), without one that needs no GnuTLS there is no verb
# serve. tools/static_program.sh makes all of them.
set(archives)
set(static_lacks)
foreach(library tiff gif spng webp jpeg jansson utf8proc z) # those before need those behind
    find_library(EFFNET_STATIC_${library} lib${library}.a)
    if(EFFNET_STATIC_${library})
        list(APPEND archives ${EFFNET_STATIC_${library}})
    else()
        list(APPEND static_lacks ${library})
    endif()
endforeach()
foreach(library sharpyuv Lerc jbig zstd lzma deflate) # of libtiff and libwebp, as they were built
    find_library(EFFNET_STATIC_${library} lib${library}.a)
    if(EFFNET_STATIC_${library})
        list(APPEND needed_archives ${EFFNET_STATIC_${library}})
    endif()
endforeach()
set(static_options -static)
foreach(function dlopen dlsym dlclose dlerror) # libheif is loaded when a HEIC is met: not by a static program
    list(APPEND static_options LINKER:--defsym=${function}=0)
endforeach()
if("spng" IN_LIST static_lacks)
    list(REMOVE_ITEM static_lacks spng)
    foreach(function ctx_new ctx_free decode_chunks decode_image decoded_image_size encode_image get_exif get_ihdr set_chunk_limits
            set_ihdr set_png_buffer set_png_file strerror)
        list(APPEND static_options LINKER:--defsym=spng_${function}=0) # which is_linked sees
    endforeach()
endif()
set(static_serves OFF)
if(MICROHTTPD_FOUND AND NOT MICROHTTPD_STATIC_LDFLAGS MATCHES gnutls)
    find_library(EFFNET_STATIC_microhttpd libmicrohttpd.a)
    if(EFFNET_STATIC_microhttpd)
        list(INSERT archives 0 ${EFFNET_STATIC_microhttpd})
        set(static_serves ON)
    endif()
endif()
if(static_lacks AND EFFNET_STATIC)
    message(FATAL_ERROR "no static program: there are no archives of ${static_lacks}")
elseif(NOT static_lacks AND NOT EFFNET_SANITIZE)
    effnet_inference_program(effnet_device_static static ${static_serves})
    if(EFFNET_STATIC_Lerc) # which is C++
        list(APPEND needed_archives stdc++)
    endif()
    target_link_options(effnet_device_static PRIVATE ${static_options})
    target_link_libraries(effnet_device_static PRIVATE ${archives} ${needed_archives} Threads::Threads m)
endif()

set(EFFNET_DEVICE_PROGRAM effnet_device)
if(EFFNET_STATIC)
    set(EFFNET_DEVICE_PROGRAM effnet_device_static)
endif()
if(EFFNET_INFERENCE_ONLY)
    set_target_properties(${EFFNET_DEVICE_PROGRAM} PROPERTIES EXCLUDE_FROM_ALL OFF
                          RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endif()
