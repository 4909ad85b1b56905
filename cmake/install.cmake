# The command, the libraries with their public headers, and the data that both read.
include(CMakePackageConfigHelpers)

install(TARGETS meshattn RUNTIME)
set_target_properties(meshattn PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)  # CUDA is often in a folder of its own

set(completions ${PROJECT_BINARY_DIR}/completion)
file(MAKE_DIRECTORY ${completions})
add_custom_command(OUTPUT ${completions}/meshattn ${completions}/meshattn.fish
  COMMAND meshattn completion bash > ${completions}/meshattn
  COMMAND meshattn completion fish > ${completions}/meshattn.fish
  DEPENDS meshattn)
add_custom_target(meshattn_completions ALL DEPENDS ${completions}/meshattn ${completions}/meshattn.fish)
install(FILES ${completions}/meshattn DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${completions}/meshattn.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

set(data_dir ${CMAKE_INSTALL_DATADIR}/meshattn)
install(DIRECTORY topologies experiments/models DESTINATION ${data_dir})

set(libraries core)
if(MESHATTN_SIM)
  list(APPEND libraries sim)
endif()
foreach(library IN LISTS libraries)
  set_target_properties(meshattn_${library} PROPERTIES EXPORT_NAME ${library})
  target_include_directories(meshattn_${library} PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  install(TARGETS meshattn_${library} EXPORT meshattnTargets)
endforeach()
install(CODE "set(source \"${PROJECT_SOURCE_DIR}\")\nset(libraries ${libraries})
set(destination \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}\")")
install(SCRIPT cmake/install_headers.cmake)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/meshattn)
install(EXPORT meshattnTargets NAMESPACE meshattn:: DESTINATION ${package_dir})
configure_package_config_file(cmake/meshattnConfig.cmake.in meshattnConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS data_dir)
write_basic_package_version_file(meshattnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/meshattnConfig.cmake ${PROJECT_BINARY_DIR}/meshattnConfigVersion.cmake
              cmake/FindSimGrid.cmake DESTINATION ${package_dir})
