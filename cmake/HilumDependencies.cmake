# Every dependency is found here, once, as an imported target; none is vendored.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(LibXml2 REQUIRED)
find_package(PNG REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LUA REQUIRED IMPORTED_TARGET lua5.4)
pkg_check_modules(LIBEDIT REQUIRED IMPORTED_TARGET libedit)

# oneDNN's own package file asks for OpenCL headers, which hilum does not need.
find_path(DNNL_INCLUDE_DIR dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(hilum_dnnl INTERFACE)
target_include_directories(hilum_dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(hilum_dnnl INTERFACE ${DNNL_LIBRARY})

add_library(hilum_hdf5 INTERFACE)
target_include_directories(hilum_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(hilum_hdf5 INTERFACE ${HDF5_C_LIBRARIES})

find_path(NIFTI_INCLUDE_DIR nifti1_io.h PATH_SUFFIXES nifti REQUIRED)
find_library(NIFTI_LIBRARY niftiio REQUIRED)
find_library(ZNZ_LIBRARY znz REQUIRED)
add_library(hilum_nifti INTERFACE)
target_include_directories(hilum_nifti SYSTEM INTERFACE ${NIFTI_INCLUDE_DIR})
target_link_libraries(hilum_nifti INTERFACE ${NIFTI_LIBRARY} ${ZNZ_LIBRARY})

# GDCM's own package file names each of its tools that is not installed.
find_path(GDCM_INCLUDE_DIR gdcmImageReader.h PATH_SUFFIXES gdcm-3.0 gdcm REQUIRED)
add_library(hilum_gdcm INTERFACE)
target_include_directories(hilum_gdcm SYSTEM INTERFACE ${GDCM_INCLUDE_DIR})
foreach(part MSFF DSED DICT Common)
  find_library(GDCM_${part}_LIBRARY gdcm${part} REQUIRED)
  target_link_libraries(hilum_gdcm INTERFACE ${GDCM_${part}_LIBRARY})
endforeach()
target_link_libraries(hilum_gdcm INTERFACE stdc++) # for programs that are linked as C
