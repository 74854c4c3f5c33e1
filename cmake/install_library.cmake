# install_library.cmake - what a program that links libeffnet or libeffnet-inference finds: header, libraries, CMake package
# and pkg-config files. Each finds the others from its own place, so that the installed tree can be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
install(FILES include/effnet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(NOT TARGET effnet_inference_static)
    return()
endif()

set(EFFNET_INFERENCE_MODULES "libjpeg spng libwebp libutf8proc libtiff-4 jansson zlib")
# Names that are weak in the static libraries (library.cmake) take nothing out of an archive; asked for, they do.
set(EFFNET_ASKED "-Wl,-u,TIFFClientOpenExt,-u,TIFFReadRGBAImageOriented,-u,TIFFGetFieldDefaulted,-u,DGifOpen,-u,GifErrorString,-u,utf8proc_NFC")
set(EFFNET_MODULES "${EFFNET_INFERENCE_MODULES} libprotobuf-c yaml-0.1 libarchive")
file(RELATIVE_PATH EFFNET_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)

# effnet_install(NAME FILE WHAT DEFINITION MODULES): libraries and pkg-config file. What the library needs is said to all
# where a program links the static library, else with --static alone. libarchive is named as a library: its own .pc names
# static libraries (acl, zstd, lz4) whose -dev packages nobody needs.
function(effnet_install name file what definition modules)
    install(TARGETS ${name}_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
    set(libraries "${EFFNET_ASKED} -Wl,--push-state,--no-as-needed,-lgif,-ltiff,-lutf8proc,--pop-state -pthread -ldl -lm")
    if(modules MATCHES libarchive)
        string(REPLACE " libarchive" "" modules "${modules}")
        set(libraries "-larchive ${libraries}")
    endif()
    if(EFFNET_SHARED)
        install(TARGETS ${name}_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
        set(EFFNET_PC_NEEDS
            "Requires.private: ${modules}\nLibs: -L\${libdir} -l${file}\nLibs.private: ${libraries}")
    else()
        set(EFFNET_PC_NEEDS "Requires: ${modules}\nLibs: -L\${libdir} -l${file} ${libraries}")
    endif()
    set(EFFNET_PC_NAME ${file})
    set(EFFNET_PC_WHAT ${what})
    set(EFFNET_PC_DEFINITION ${definition})
    configure_file(cmake/effnet.pc.in ${file}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${file}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

effnet_install(effnet_inference effnet-inference "EfficientNet, run" " -DEFFNET_INFERENCE_ONLY"
               "${EFFNET_INFERENCE_MODULES}")
if(NOT EFFNET_INFERENCE_ONLY)
    effnet_install(effnet effnet "EfficientNet trained, evaluated and run" "" "${EFFNET_MODULES}")
endif()

# CMake: find_package(effnet).
configure_package_config_file(cmake/effnetConfig.cmake.in ${PROJECT_BINARY_DIR}/effnetConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/effnet
                              PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/effnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/effnetConfig.cmake ${PROJECT_BINARY_DIR}/effnetConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/effnet)
