# package.cmake - what is installed beside program and libraries (man pages, completions), and `cpack -G DEB`.
if(TARGET effnet AND NOT CMAKE_CROSSCOMPILING)
    set(pages ${PROJECT_BINARY_DIR}/pages)
    add_custom_command(OUTPUT ${pages}/stamp
        COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:effnet> -DFOLDER=${pages}
                -P ${PROJECT_SOURCE_DIR}/cmake/man_pages.cmake
        COMMAND ${CMAKE_COMMAND} -E touch ${pages}/stamp
        DEPENDS effnet ${PROJECT_SOURCE_DIR}/cmake/man_pages.cmake
        COMMENT "Man pages and completions")
    add_custom_target(effnet_pages ALL DEPENDS ${pages}/stamp)
    set(zsh_functions site-functions) # Debian's zsh looks elsewhere for what packages bring
    if(EXISTS /etc/debian_version)
        set(zsh_functions vendor-completions)
    endif()
    install(DIRECTORY ${pages}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
    install(FILES ${pages}/completions/effnet.bash RENAME effnet
            DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${pages}/completions/effnet.zsh RENAME _effnet DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_functions})
    install(FILES ${pages}/completions/effnet.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
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
if(TARGET effnet_mpi)
    list(APPEND CPACK_COMPONENTS_ALL mpi)
    set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_SUGGESTS effnet-mpi)
    set(CPACK_DEBIAN_MPI_PACKAGE_NAME effnet-mpi)
    set(CPACK_DEBIAN_MPI_PACKAGE_DEPENDS "effnet (= ${PROJECT_VERSION})")
    set(CPACK_COMPONENT_MPI_DESCRIPTION "The module by which effnet's workers speak over MPI.")
endif()
include(CPack)
