// Puts a database file that was removed under the running controller back in its place.
#pragma once

#include <memory>
#include <string>

#include "controller/io/store_writer.h"
#include "schema/base/result.h"

namespace dyncast::store {

// The open connection still holds everything that the removed file held: it is copied to a new file at
// `path`, and *writer becomes a writer of that one. Another file that stands there now is never touched:
// then it is an error, and *writer stays. After an error the same call may be made again; *writer may be
// null then (the copy is made, but could not be opened).
Status RestoreRemovedFile(const std::string& path, std::unique_ptr<Writer>* writer);

}  // namespace dyncast::store
