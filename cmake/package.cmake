# package.cmake - what is installed beside program and libraries (man pages, completions), and `cpack -G DEB`: the packages
# effnet, effnet-mpi and effnet-inference; of an EFFNET_INFERENCE_ONLY build the last alone.
include(GNUInstallDirs)
set(zsh_functions site-functions) # Debian's zsh looks elsewhere for what packages bring
if(EXISTS /etc/debian_version)
    set(zsh_functions vendor-completions)
endif()

# effnet_pages(PROGRAM FOLDER [INSTALL-OPTION...]): target PROGRAM_pages, what the program says of itself, and its installation.
function(effnet_pages program folder)
    set(pages ${PROJECT_BINARY_DIR}/${folder})
    add_custom_command(OUTPUT ${pages}/stamp
        COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${program}> -DFOLDER=${pages}
                -P ${PROJECT_SOURCE_DIR}/cmake/man_pages.cmake
        COMMAND ${CMAKE_COMMAND} -E touch ${pages}/stamp
        DEPENDS ${program} ${PROJECT_SOURCE_DIR}/cmake/man_pages.cmake
        COMMENT "Man pages and completions")
    add_custom_target(${program}_pages DEPENDS ${pages}/stamp)
    install(DIRECTORY ${pages}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} ${ARGN})
    install(FILES ${pages}/completions/effnet.bash RENAME effnet
            DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions ${ARGN})
    install(FILES ${pages}/completions/effnet.zsh RENAME _effnet
            DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_functions} ${ARGN})
    install(FILES ${pages}/completions/effnet.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d ${ARGN})
endfunction()

# The program for devices with its library and header. Of a whole build only the package has it: both are called effnet.
set(inference)
if(NOT EFFNET_INFERENCE_ONLY)
    set(inference COMPONENT inference EXCLUDE_FROM_ALL)
endif()
install(TARGETS ${EFFNET_DEVICE_PROGRAM} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} ${inference})
if(NOT CMAKE_CROSSCOMPILING)
    effnet_pages(${EFFNET_DEVICE_PROGRAM} pages-inference ${inference})
    if(EFFNET_INFERENCE_ONLY)
        set_target_properties(${EFFNET_DEVICE_PROGRAM}_pages PROPERTIES EXCLUDE_FROM_ALL OFF)
    else()
        add_dependencies(effnet_libraries ${EFFNET_DEVICE_PROGRAM}_pages)
    endif()
endif()
if(TARGET effnet_inference_shared AND NOT EFFNET_INFERENCE_ONLY) # there all that is installed is the package's
    install(TARGETS effnet_inference_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ${inference})
    install(FILES include/effnet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} ${inference})
    install(FILES ${PROJECT_BINARY_DIR}/effnet-inference.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${inference})
endif()
if(TARGET effnet AND NOT CMAKE_CROSSCOMPILING)
    effnet_pages(effnet pages)
    set_target_properties(effnet_pages PROPERTIES EXCLUDE_FROM_ALL OFF)
endif()

set(CPACK_PACKAGE_NAME effnet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "the effnet developers <effnet@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "EfficientNet trained, evaluated and run")
set(CPACK_PACKAGE_DESCRIPTION "Trains EfficientNet as published, fine-tunes it on a folder of pictures, and classifies: one program and one C
library, without Python.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # what the files were linked with, by dpkg-shlibdeps of dpkg-dev
set(CPACK_DEBIAN_PACKAGE_SUGGESTS libheif1) # HEIC and AVIF: loaded when the first of them is met
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# The module for workers over MPI is a package of its own, so that nobody else needs an MPI.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL Unspecified)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_NAME effnet)
set(CPACK_DEBIAN_INFERENCE_PACKAGE_NAME effnet-inference)
set(CPACK_COMPONENT_INFERENCE_DESCRIPTION "The program and the C library that run EfficientNet, for devices: no training, and none of the libraries
that it needs.")
foreach(pair "INFERENCE effnet" "UNSPECIFIED effnet-inference") # both have /usr/bin/effnet
    separate_arguments(pair)
    list(GET pair 0 one)
    list(GET pair 1 other)
    set(CPACK_DEBIAN_${one}_PACKAGE_CONFLICTS ${other})
    set(CPACK_DEBIAN_${one}_PACKAGE_REPLACES ${other})
endforeach()
if(EFFNET_INFERENCE_ONLY)
    foreach(setting NAME CONFLICTS REPLACES)
        set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_${setting} ${CPACK_DEBIAN_INFERENCE_PACKAGE_${setting}})
    endforeach()
elseif(TARGET effnet_inference_shared)
    list(APPEND CPACK_COMPONENTS_ALL inference)
endif()
if(TARGET effnet_mpi)
    list(APPEND CPACK_COMPONENTS_ALL mpi)
    set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_SUGGESTS effnet-mpi)
    set(CPACK_DEBIAN_MPI_PACKAGE_NAME effnet-mpi)
    set(CPACK_DEBIAN_MPI_PACKAGE_DEPENDS "effnet (= ${PROJECT_VERSION})")
    set(CPACK_COMPONENT_MPI_DESCRIPTION "The module by which effnet's workers speak over MPI.")
endif()
include(CPack)
