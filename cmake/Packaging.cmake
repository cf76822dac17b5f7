# The Debian package: cpack -G DEB in the build directory, or ./dev deb. It has the programs, what
# systemd needs, and a config file; not what is needed to build against Locker.

set(packaged COMPONENT package EXCLUDE_FROM_ALL)
install(TARGETS lockerd locker RUNTIME DESTINATION bin ${packaged})
install(FILES client/completion/locker.bash DESTINATION share/bash-completion/completions
  RENAME locker ${packaged})
install(FILES client/completion/_locker DESTINATION share/zsh/vendor-completions ${packaged})
install(FILES client/completion/locker.fish DESTINATION share/fish/vendor_completions.d ${packaged})
install(FILES cmake/packaging/lockerd.service DESTINATION lib/systemd/system ${packaged})
install(FILES cmake/packaging/lockerd.conf DESTINATION /etc/locker ${packaged})
install(FILES README.md DESTINATION share/doc/locker ${packaged})
install(FILES server/API.md server/ACCESS.md server/LOCKER-1.0B.md server/OPERATIONS.md
  DESTINATION share/doc/locker/server ${packaged})
install(FILES tests/GUARANTEES.md tests/TRACK_RECORD.md
  DESTINATION share/doc/locker/tests ${packaged})
install(FILES client/RECIPES.md DESTINATION share/doc/locker/client ${packaged})
install(FILES client/command/README.md DESTINATION share/doc/locker/client/command ${packaged})
install(DIRECTORY docker/monitoring DESTINATION share/doc/locker/docker ${packaged})
# Debian has its manual pages and changelogs compressed, the same each time.
foreach(page client/manual/locker.1 server/manual/lockerd.8 cmake/packaging/changelog)
  cmake_path(GET page FILENAME name)
  set(compressed ${CMAKE_BINARY_DIR}/packaging/${name}.gz)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/packaging)
  execute_process(COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/${page} OUTPUT_FILE ${compressed}
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/packaging/locker.1.gz DESTINATION share/man/man1 ${packaged})
install(FILES ${CMAKE_BINARY_DIR}/packaging/lockerd.8.gz DESTINATION share/man/man8 ${packaged})
install(FILES ${CMAKE_BINARY_DIR}/packaging/changelog.gz DESTINATION share/doc/locker ${packaged})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME locker)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Locker maintainers <locker@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "hierarchical lock server and its command line")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Scripts, CI jobs and workers on many machines take turns on\
 resources by asking one URL.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL package)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_PACKAGE_NAME locker)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS passwd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/cmake/packaging/preinst
  ${PROJECT_SOURCE_DIR}/cmake/packaging/postinst ${PROJECT_SOURCE_DIR}/cmake/packaging/prerm
  ${PROJECT_SOURCE_DIR}/cmake/packaging/postrm ${PROJECT_SOURCE_DIR}/cmake/packaging/conffiles)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_NAME locker)
set(CPACK_DEBIAN_PACKAGE_FILE_NAME locker.deb)
include(CPack)
