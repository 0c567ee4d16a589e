# The SQLite side: writer thread with its mailbox, and the read-only queries.
dyncast_library(dyncast_store
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/binding_store.cc
          ${CMAKE_CURRENT_LIST_DIR}/store_json.cc
          ${CMAKE_CURRENT_LIST_DIR}/store_load.cc
          ${CMAKE_CURRENT_LIST_DIR}/store_mailbox.cc
          ${CMAKE_CURRENT_LIST_DIR}/store_migrate.cc
          ${CMAKE_CURRENT_LIST_DIR}/store_reader.cc
          ${CMAKE_CURRENT_LIST_DIR}/store_restore.cc
          ${CMAKE_CURRENT_LIST_DIR}/store_sqlite.cc
          ${CMAKE_CURRENT_LIST_DIR}/store_writer.cc
  LIBS dyncast_model dyncast_sql SQLite::SQLite3 Threads::Threads)
