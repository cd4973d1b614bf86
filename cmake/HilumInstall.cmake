# cmake --install BUILD --prefix P: the program, the Lua module with its library, the C library with its
# headers and package files (find_package(hilum), target hilum::hilum), experiments and plots.
include(CMakePackageConfigHelpers)
set(lua_dir lua/5.4)
set(data_dir ${CMAKE_INSTALL_DATADIR}/hilum)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hilum)

# ---- the library ----
install(DIRECTORY ${PROJECT_SOURCE_DIR}/engine/include/hilum DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(TARGETS hilum hilum_dnnl hilum_hdf5 hilum_gdcm hilum_nifti EXPORT hilum)
install(EXPORT hilum NAMESPACE hilum:: FILE hilumTargets.cmake DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/hilumConfig.cmake.in
  ${PROJECT_BINARY_DIR}/hilumConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hilumConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hilumConfig.cmake ${PROJECT_BINARY_DIR}/hilumConfigVersion.cmake
        DESTINATION ${package_dir})

# ---- Lua ----
if(TARGET hilum_program)
  install(TARGETS hilum_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET hilum_module)
  install(TARGETS hilum_module LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/${lua_dir}/hilum)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/stdlib/hilum DESTINATION ${CMAKE_INSTALL_DATADIR}/${lua_dir}
        FILES_MATCHING PATTERN "*.lua")

# ---- what is read ----
install(DIRECTORY ${PROJECT_SOURCE_DIR}/experiments ${PROJECT_SOURCE_DIR}/plots DESTINATION ${data_dir})
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/LICENSE
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
