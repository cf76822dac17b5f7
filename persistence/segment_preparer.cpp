#include "persistence/segment_preparer.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

namespace locker::persistence {
namespace {

constexpr std::uint64_t first_bytes = std::uint64_t{4} << 20U;

std::uint64_t largest_segment_bytes(std::uint64_t limit) {
  return std::bit_floor(std::max(limit, segment_bytes_min));
}

constexpr std::size_t zeros_at_a_time = std::size_t{1} << 20U;

IoResult<void> write_zeros(File& file, std::uint64_t bytes) {
  // Reports a full disk before writing starts, not in the middle of it.
  if (auto allocated = file.allocate(bytes); !allocated) return allocated.error();
  const std::string zeros(std::min<std::uint64_t>(bytes, zeros_at_a_time), '\0');
  for (std::uint64_t offset = 0; offset < bytes; offset += zeros.size()) {
    if (auto written = file.write_at(offset, zeros); !written) return written.error();
    // One sync at the end would delay the journal's next sync.
    if (auto synced = file.sync(); !synced) return synced.error();
  }
  return {};
}

IoResult<std::unique_ptr<File>> create_of_zeros(FileSystem& files, const std::string& directory,
                                                const std::string& path, std::uint64_t bytes) {
  auto file = files.open(path, Access::create);
  if (!file) return file.error();
  if (auto written = write_zeros(**file, bytes); !written) return written.error();
  if (auto synced = files.sync_directory(directory); !synced) return synced.error();
  return std::move(*file);
}

IoResult<void> remove_if_there(FileSystem& files, const std::string& path) {
  auto removed = files.remove(path);
  if (!removed && removed.error().code != boost::system::errc::no_such_file_or_directory) {
    return removed.error();
  }
  return {};
}

IoError no_room(const std::string& path) {
  const boost::system::error_code code(ENOSPC, boost::system::system_category());
  return {code, "cannot reserve space for " + path + ": " + code.message()};
}

}  // namespace

std::uint64_t first_segment_bytes(std::uint64_t limit) {
  return std::min(largest_segment_bytes(limit), first_bytes);
}

std::uint64_t next_segment_bytes(std::uint64_t bytes, std::uint64_t limit) {
  return std::min(largest_segment_bytes(limit), 2 * std::max(std::bit_ceil(bytes), first_bytes));
}

IoResult<PreparedSegment> prepare_segment(FileSystem& files, const std::string& directory,
                                          const SegmentWish& wish, std::string_view name) {
  const std::string path = in_directory(directory, name);
  if (auto removed = remove_if_there(files, path); !removed) return removed.error();
  IoError fault = no_room(path);
  for (std::uint64_t bytes = wish.bytes; bytes >= wish.least_bytes; bytes /= 2) {
    const auto free = files.free_space(directory);
    if (!free) return free.error();
    if (*free < bytes + wish.spare_bytes) continue;
    auto file = create_of_zeros(files, directory, path, bytes);
    if (file) return PreparedSegment{std::move(*file), bytes};
    if (!is_full_disk(file.error())) return file.error();
    fault = file.error();  // says whether it is the disk or a limit
    if (auto removed = remove_if_there(files, path); !removed) return removed.error();
  }
  return fault;
}

IoResult<std::optional<PreparedSegment>> prepare_again(FileSystem& files,
                                                       const std::string& directory) {
  auto file = files.open(in_directory(directory, prepared_name), Access::write);
  if (!file && file.error().code == boost::system::errc::no_such_file_or_directory) {
    return std::nullopt;
  }
  if (!file) return file.error();
  const auto bytes = (*file)->size();
  if (!bytes) return bytes.error();
  if (*bytes < segment_bytes_min || !std::has_single_bit(*bytes)) return std::nullopt;
  if (auto written = write_zeros(**file, *bytes); !written) {
    if (is_full_disk(written.error())) return std::nullopt;
    return written.error();
  }
  return PreparedSegment{std::move(*file), *bytes};
}

IoResult<void> publish_segment(FileSystem& files, const std::string& directory,
                               PreparedSegment& prepared, SegmentHeader header) {
  header.bytes = prepared.bytes;
  if (auto written = prepared.file->write_at(0, encode(header)); !written) return written.error();
  if (auto synced = prepared.file->sync(); !synced) return synced.error();
  // Otherwise records in it would be acknowledged, and no start would find them.
  if (auto checked = files.check_held_directory(); !checked) return checked.error();
  const std::string path = in_directory(directory, segment_name(header.first_index));
  if (auto renamed = files.rename(in_directory(directory, prepared_name), path); !renamed) {
    return renamed.error();
  }
  return files.sync_directory(directory);
}

IoResult<void> seal_segment(File& segment, std::uint64_t salt, Index next_index) {
  const std::string seal = encode_seal(next_index, salt);
  if (auto written = segment.write_at(seal_offset, seal); !written) return written.error();
  return segment.sync();
}

}  // namespace locker::persistence
