# install_library.cmake - what a program that links libeffnet finds: header, libraries, CMake package and pkg-config file.
# Each finds the others from its own place, so that the installed tree can be moved.
include(CMakePackageConfigHelpers)
install(FILES include/effnet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(NOT TARGET effnet_static)
    return()
endif()
install(TARGETS effnet_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(EFFNET_SHARED)
    install(TARGETS effnet_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

# pkg-config: what the library needs is said to all where a program links the static library, else with --static alone.
set(modules libjpeg spng libwebp libprotobuf-c libutf8proc libtiff-4 yaml-0.1 jansson zlib)
set(libraries archive gif)
list(JOIN modules " " EFFNET_PC_MODULES)
list(TRANSFORM libraries PREPEND -l OUTPUT_VARIABLE EFFNET_PC_LIBRARIES)
list(JOIN EFFNET_PC_LIBRARIES " " EFFNET_PC_LIBRARIES)
set(EFFNET_PC_LIBRARIES "${EFFNET_PC_LIBRARIES} -pthread -ldl -lm")
if(EFFNET_SHARED)
    set(EFFNET_PC_NEEDS
        "Requires.private: ${EFFNET_PC_MODULES}\nLibs: -L\${libdir} -leffnet\nLibs.private: ${EFFNET_PC_LIBRARIES}")
else()
    set(EFFNET_PC_NEEDS "Requires: ${EFFNET_PC_MODULES}\nLibs: -L\${libdir} -leffnet ${EFFNET_PC_LIBRARIES}")
endif()
file(RELATIVE_PATH EFFNET_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/effnet.pc.in effnet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/effnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# CMake: find_package(effnet).
set(EFFNET_PACKAGE_MODULES ${modules} libarchive)
set(EFFNET_PACKAGE_LIBRARIES gif)
list(JOIN EFFNET_PACKAGE_MODULES " " EFFNET_PACKAGE_MODULES)
configure_package_config_file(cmake/effnetConfig.cmake.in ${PROJECT_BINARY_DIR}/effnetConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/effnet
                              PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/effnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/effnetConfig.cmake ${PROJECT_BINARY_DIR}/effnetConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/effnet)
