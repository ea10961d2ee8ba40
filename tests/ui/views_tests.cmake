batchscope_test(tst_views_theme ui LIBS batchscope_views LABELS unit gui)
