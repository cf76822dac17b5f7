include(CMakePackageConfigHelpers)

install(TARGETS lockerd locker RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES client/completion/locker.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME locker)
install(FILES client/completion/_locker DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES client/completion/locker.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES client/manual/locker.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES server/manual/lockerd.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(TARGETS locker_core locker_persistence locker_asio locker_server locker_client EXPORT LockerTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/locker)
install(FILES ${PROJECT_BINARY_DIR}/server/include/server/version.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/locker/server)
install(EXPORT LockerTargets NAMESPACE locker:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Locker)
configure_package_config_file(cmake/LockerConfig.cmake.in ${PROJECT_BINARY_DIR}/LockerConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Locker)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/LockerConfigVersion.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/LockerConfig.cmake ${PROJECT_BINARY_DIR}/LockerConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Locker)
