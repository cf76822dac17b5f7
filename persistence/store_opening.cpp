#include "persistence/store_opening.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "persistence/segment_preparer.hpp"

namespace locker::persistence {
namespace {

using boost::system::errc::errc_t;

OpenFault not_a_store(const std::string& directory, const std::string& what) {
  return {OpenFault::Kind::not_a_store, directory + " " + what};
}

bool is_not_a_directory(const IoError& error) { return error.code == errc_t::not_a_directory; }

/// Returns the path of the file in the way, when `path` names a file or leads through one.
std::string file_in_the_way(FileSystem& files, std::string path) {
  std::size_t end = path.rfind('/');
  while (end != std::string::npos && end != 0) {
    const auto names = files.list(path.substr(0, end));
    if (names || !is_not_a_directory(names.error())) break;
    path.resize(end);
    end = path.rfind('/');
  }
  return path;
}

/// Returns the names in the directory, which is created if it does not exist; `was_there` says
/// whether it did.
OpenResult<std::vector<std::string>> list_or_make(FileSystem& files, const std::string& directory,
                                                  bool& was_there) {
  auto names = files.list(directory);
  was_there = names.has_value();
  if (names) return std::move(*names);
  if (is_not_a_directory(names.error())) {
    return not_a_store(
        file_in_the_way(files, directory),
        "is a file, but the store needs a directory; name another with --file. If it is the pickle "
        "file of Locker 1, move it away: its locks cannot be imported.");
  }
  if (names.error().code != errc_t::no_such_file_or_directory) return open_fault(names.error());
  if (auto made = files.make_directory(directory); !made) return open_fault(made.error());
  return std::vector<std::string>{};
}

/// Keeps a mistyped option from making a store of a directory that holds other files.
OpenResult<void> check_ours(const std::string& directory, const StoreFiles& found) {
  const bool is_ours = found.has_identity || !found.segments.empty() || !found.snapshots.empty();
  const auto foreign = std::find_if(found.foreign.begin(), found.foreign.end(),
                                    [](const auto& name) { return name != "lost+found"; });
  if (is_ours || foreign == found.foreign.end()) return {};
  return not_a_store(directory, "is a directory with something else in it (" + *foreign +
                                    "); name an empty or a new one.");
}

/// A creation that was interrupted left at most the first segment, without a frame in it.
bool is_unfinished_creation(FileSystem& files, const std::string& directory,
                            const StoreFiles& found) {
  if (found.segments.empty() && found.snapshots.empty()) return true;
  if (found.segments != std::vector<Index>{1} || !found.snapshots.empty()) return false;
  const auto file = read_whole(files, in_directory(directory, segment_name(1)));
  return file && file->size >= segment_header_bytes &&
         file->bytes.view().find_first_not_of('\0', segment_header_bytes) == std::string_view::npos;
}

OpenResult<void> write_identity(FileSystem& files, const std::string& directory,
                                const StoreId& id) {
  const std::string path = in_directory(directory, identity_name);
  const std::string temporary = path + ".tmp";
  auto file = files.open(temporary, Access::create);
  if (!file) return open_fault(file.error());
  if (auto written = (*file)->write_at(0, identity_text(id)); !written) {
    return open_fault(written.error());
  }
  if (auto synced = (*file)->sync(); !synced) return open_fault(synced.error());
  if (auto renamed = files.rename(temporary, path); !renamed) return open_fault(renamed.error());
  if (auto synced = files.sync_directory(directory); !synced) return open_fault(synced.error());
  return {};
}

/// Makes the directory's own name durable. An operator who created it, or a start that was killed
/// in between, may not have done so. A parent that may not be read was not created by this process.
OpenResult<void> sync_parent(FileSystem& files, const std::string& directory, bool was_there) {
  const auto synced = files.sync_directory(directory + "/..");
  if (synced || (was_there && synced.error().code == errc_t::permission_denied)) return {};
  return open_fault(synced.error());
}

/// Writes STORE last: a store that has it has a segment too.
OpenResult<void> create_store(FileSystem& files, const std::string& directory,
                              const StoreFiles& found, bool was_there, std::uint64_t segment_bytes,
                              const std::function<std::uint64_t()>& random_number) {
  if (!is_unfinished_creation(files, directory, found)) {
    return OpenFault{OpenFault::Kind::damaged,
                     directory +
                         " has journal files but the file STORE is missing; restore it "
                         "from a backup of this same store."};
  }
  if (auto synced = sync_parent(files, directory, was_there); !synced) return synced.error();
  for (const Index first_index : found.segments) {
    const std::string path = in_directory(directory, segment_name(first_index));
    if (auto removed = files.remove(path); !removed) return open_fault(removed.error());
  }
  StoreId id{};
  const std::uint64_t halves[2] = {random_number(), random_number()};
  std::memcpy(id.data(), halves, sizeof halves);
  auto prepared =
      prepare_segment(files, directory, {.bytes = segment_bytes, .spare_bytes = spare_bytes_min});
  if (!prepared) return open_fault(prepared.error());
  auto published = publish_segment(files, directory, *prepared, {id, random_number(), 1, 0});
  if (!published) return open_fault(published.error());
  return write_identity(files, directory, id);
}

/// Overwrites everything after the last frame with zeros, so that none of it is ever taken for part
/// of the chain; after a second crash on the way, less of it is left.
OpenResult<void> cut_tail(FileSystem& files, const std::string& directory,
                          const RecoveredStore& store) {
  const SegmentEnd& end = store.last_end;
  if (end.tail_bytes == 0) return {};
  auto file = files.open(in_directory(directory, segment_name(store.last_header.first_index)),
                         Access::write);
  if (!file) return open_fault(file.error());
  constexpr std::uint64_t at_a_time = std::uint64_t{1} << 20U;
  for (std::uint64_t done = 0; done < end.tail_bytes; done += at_a_time) {
    const std::string zeros(std::min(at_a_time, end.tail_bytes - done), '\0');
    if (auto written = (*file)->write_at(end.offset + done, zeros); !written) {
      return open_fault(written.error());
    }
  }
  if (auto synced = (*file)->sync(); !synced) return open_fault(synced.error());
  return {};
}

/// Completes what a crash between renaming the last segment and sealing the one before left undone:
/// without the seal, the loss of the last segment would go unnoticed.
OpenResult<void> seal_if_missing(FileSystem& files, const std::string& directory,
                                 const RecoveredStore& store) {
  if (!store.unsealed) return {};
  auto file =
      files.open(in_directory(directory, segment_name(store.unsealed->first_index)), Access::write);
  if (!file) return open_fault(file.error());
  const auto sealed = seal_segment(**file, store.unsealed->salt, store.last_header.first_index);
  if (!sealed) return open_fault(sealed.error());
  return {};
}

/// Removes temporary files except the prepared segment, whose room must not be given away before it
/// is prepared again.
OpenResult<StoreFiles> remove_temporary(FileSystem& files, const std::string& directory) {
  const auto names = files.list(directory);
  if (!names) return open_fault(names.error());
  StoreFiles found = sort_files(*names);
  for (const std::string& name : found.temporary) {
    if (name == prepared_name) continue;
    if (auto removed = files.remove(in_directory(directory, name)); !removed) {
      return open_fault(removed.error());
    }
  }
  return found;
}

OpenFault lock_fault(const std::string& directory, const IoError& error) {
  if (error.code != errc_t::operation_would_block) return open_fault(error);
  return OpenFault{OpenFault::Kind::in_use,
                   directory +
                       " is in use: another process has the store open. Stop that one, or "
                       "name another store with --file."};
}

OpenResult<std::unique_ptr<FileLock>> lock_file(FileSystem& files, const std::string& directory,
                                                std::string_view name, Locking locking) {
  auto lock = files.lock(in_directory(directory, name), locking);
  if (lock) return std::move(*lock);
  return lock_fault(directory, lock.error());
}

/// Locks STORE unless `lock` is set already.
OpenResult<void> lock_identity(FileSystem& files, const std::string& directory,
                               std::unique_ptr<FileLock>& lock) {
  if (lock != nullptr) return {};
  auto locked = lock_file(files, directory, identity_name, Locking::owner);
  if (!locked) return locked.error();
  lock = std::move(*locked);
  return {};
}

}  // namespace

OpenResult<std::unique_ptr<FileLock>> lock_store(FileSystem& files, const std::string& directory) {
  return lock_file(files, directory, lock_name, Locking::create);
}

OpenResult<ReadingLock> lock_for_reading(FileSystem& files, const std::string& directory) {
  ReadingLock locks;
  auto lock = files.lock(in_directory(directory, lock_name), Locking::reader);
  if (lock) {
    locks.lock = std::move(*lock);
  } else if (lock.error().code != errc_t::no_such_file_or_directory) {
    return lock_fault(directory, lock.error());
  }
  auto identity_lock = lock_file(files, directory, identity_name, Locking::reader);
  if (!identity_lock) return identity_lock.error();
  locks.identity_lock = std::move(*identity_lock);
  return locks;
}

OpenResult<OpenedStore> open_store(FileSystem& files, const std::string& directory,
                                   std::uint64_t segment_bytes,
                                   const std::function<std::uint64_t()>& random_number,
                                   const RecordVisitor& on_record) {
  bool was_there = false;
  const auto names = list_or_make(files, directory, was_there);
  if (!names) return names.error();
  const StoreFiles before = sort_files(*names);
  if (auto checked = check_ours(directory, before); !checked) return checked.error();
  if (auto held = files.hold_directory(directory); !held) return open_fault(held.error());
  auto lock = lock_store(files, directory);
  if (!lock) return lock.error();
  std::unique_ptr<FileLock> identity_lock;
  if (before.has_identity) {
    auto locked = lock_identity(files, directory, identity_lock);
    if (!locked) return locked.error();
  }
  // A process that was killed, or whose sync failed, may have left names that are only in the
  // cache: nothing may be built on one that a power failure can undo.
  if (auto synced = files.sync_directory(directory); !synced) return open_fault(synced.error());
  // Listed again: another process may have worked here until this one got the lock.
  auto found = remove_temporary(files, directory);
  if (!found) return found.error();

  std::vector<std::string> warnings;
  if (!found->has_identity) {
    auto created = create_store(files, directory, *found, was_there, segment_bytes, random_number);
    if (!created) return created.error();
    if (was_there) {
      warnings.push_back(directory +
                         " existed and was empty: a new store is created in it. If locks were kept "
                         "there, its volume is not mounted.");
    }
    auto relisted = remove_temporary(files, directory);
    if (!relisted) return relisted.error();
    found = std::move(*relisted);
  }
  if (auto locked = lock_identity(files, directory, identity_lock); !locked) return locked.error();
  auto recovered = recover(files, directory, *found, on_record);
  if (!recovered) return recovered.error();
  if (auto cut = cut_tail(files, directory, *recovered); !cut) return cut.error();
  if (auto sealed = seal_if_missing(files, directory, *recovered); !sealed) return sealed.error();
  recovered->warnings.insert(recovered->warnings.begin(), warnings.begin(), warnings.end());
  return OpenedStore{std::move(*lock), std::move(identity_lock), std::move(*recovered)};
}

}  // namespace locker::persistence
