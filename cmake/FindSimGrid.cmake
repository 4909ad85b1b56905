# SimGrid of Debian has no CMake package of its own. Defines the target SimGrid::SimGrid and SimGrid_VERSION.
find_path(SimGrid_INCLUDE_DIR simgrid/s4u.hpp)
find_library(SimGrid_LIBRARY simgrid)
find_package(Boost QUIET)  # SimGrid's headers include it
if(SimGrid_INCLUDE_DIR)
  file(STRINGS ${SimGrid_INCLUDE_DIR}/simgrid/version.h version REGEX "define SIMGRID_VERSION_STRING")
  string(REGEX MATCH "[0-9]+\\.[0-9.]+" SimGrid_VERSION "${version}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(SimGrid
  REQUIRED_VARS SimGrid_LIBRARY SimGrid_INCLUDE_DIR Boost_FOUND VERSION_VAR SimGrid_VERSION
  REASON_FAILURE_MESSAGE "install libsimgrid-dev, or build meshattn with -DMESHATTN_SIM=OFF")
mark_as_advanced(SimGrid_INCLUDE_DIR SimGrid_LIBRARY)
if(SimGrid_FOUND AND NOT TARGET SimGrid::SimGrid)
  add_library(SimGrid::SimGrid UNKNOWN IMPORTED)
  set_target_properties(SimGrid::SimGrid PROPERTIES IMPORTED_LOCATION "${SimGrid_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${SimGrid_INCLUDE_DIR}" INTERFACE_LINK_LIBRARIES Boost::headers)
endif()
