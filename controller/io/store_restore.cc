#include "controller/io/store_restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "controller/io/store_migrate.h"

namespace dyncast::store {
namespace {

bool Exists(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

Status SyncFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fdatasync(fd) != 0) {
    const int why = errno;
    if (fd >= 0) close(fd);
    return MakeError(Errc::kIo, std::string("syncing the copy: ") + std::strerror(why), path);
  }
  close(fd);
  return Ok();
}

Status CopyTo(const std::string& copy, Writer* writer) {
  std::remove(copy.c_str());  // of an earlier attempt
  Result<Statement> vacuum = Statement::Prepare(writer->db(), "VACUUM INTO ?1");
  if (!vacuum.ok()) return vacuum.error();
  vacuum->BindText(1, copy);
  if (!vacuum->Run()) return writer->db().LastError("copying the removed database");
  return SyncFile(copy);
}

}  // namespace

Status RestoreRemovedFile(const std::string& path, std::unique_ptr<Writer>* writer) {
  const std::string copy = path + ".restored";
  if (*writer != nullptr) {
    if (Exists(path)) {
      return MakeError(Errc::kConflict,
                       "the database file was replaced by another while in use: move that one away, and "
                       "the records go on in a copy of the old one",
                       path);
    }
    if (Status copied = CopyTo(copy, writer->get()); !copied.ok()) return copied;
    writer->reset();
    // The old file's log and index would be taken for the new file's.
    std::remove((path + "-wal").c_str());
    std::remove((path + "-shm").c_str());
  }
  if (!Exists(path) && Exists(copy) && std::rename(copy.c_str(), path.c_str()) != 0) {
    return MakeError(Errc::kIo, std::string("renaming the copy: ") + std::strerror(errno), copy);
  }
  Result<Database> db = OpenForWriting(path);
  if (!db.ok()) return db.error();
  Result<std::unique_ptr<Writer>> made = Writer::Make(std::move(*db));
  if (!made.ok()) return made.error();
  *writer = std::move(*made);
  return Ok();
}

}  // namespace dyncast::store
