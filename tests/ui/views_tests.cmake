batchscope_test(tst_views_theme ui LIBS batchscope_views LABELS unit gui)
batchscope_test(tst_views_chart ui LIBS batchscope_views LABELS unit gui)
batchscope_test(tst_views_window ui LIBS batchscope_views LABELS gui)
batchscope_test(tst_views_fork ui LIBS batchscope_views LABELS gui)
batchscope_test(tst_views_control ui LIBS batchscope_views LABELS gui)
if(TARGET batchscope-engine)
  batchscope_test(tst_views_engine ui LIBS batchscope_views LABELS gui process TIMEOUT 300)
  add_dependencies(tst_views_engine batchscope-engine)
endif()

# Made-up runs for looking at the pages; not a test.
add_executable(views_sample_run EXCLUDE_FROM_ALL ui/views_sample_run.cpp)
target_include_directories(views_sample_run PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(views_sample_run PRIVATE batchscope_storage Qt6::Gui Qt6::Network)
