#include "persistence/segment_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace locker::persistence {

OpenResult<SegmentReader> SegmentReader::open(FileSystem& files, const std::string& directory,
                                              Index first_index, const StoreId& store) {
  std::string path = in_directory(directory, segment_name(first_index));
  auto file = files.open(path, Access::read);
  if (!file) return open_fault(file.error());
  const auto size = (*file)->size();
  if (!size) return open_fault(size.error());
  AlignedBytes bytes{segment_header_bytes};
  const auto read = (*file)->read_at(0, bytes.span());
  if (!read) return open_fault(read.error());
  if (*read < std::min<std::uint64_t>(segment_header_bytes, *size)) {
    return open_fault(cut_short(path, *read, *size));
  }
  const std::string_view front = bytes.view().substr(0, *read);
  const auto header = check_segment(front, *size, path, first_index, store);
  if (!header) return header.error();
  SegmentReader reader{std::move(*file), std::move(path), *size};
  reader.header_ = *header;
  reader.is_sealed_ = persistence::is_sealed(front);
  return reader;
}

OpenResult<SegmentEnd> SegmentReader::scan(const std::function<void(const Frame&)>& on_frame) {
  auto end = scan_segment(*this, header_, on_frame);
  if (!end) return open_fault(end.error());
  return *end;
}

std::string_view SegmentReader::in_memory(std::uint64_t offset) const {
  if (offset < begin_ || offset - begin_ > filled_) return {};
  return bytes_.view().substr(0, filled_).substr(offset - begin_);
}

IoResult<std::string_view> SegmentReader::from(std::uint64_t offset, std::uint64_t size) {
  size = std::min(size, size_ - offset);
  if (const std::string_view there = in_memory(offset); there.size() >= size) return there;
  // Moves the part that is in memory already to the front, and reads the rest after it.
  const std::uint64_t begin = offset / direct_alignment * direct_alignment;
  const std::string_view kept = in_memory(begin);
  const std::size_t kept_bytes = kept.size();
  const std::size_t needed = static_cast<std::size_t>(offset - begin + size);
  if (needed > bytes_.view().size() ||
      bytes_.view().size() > std::max(piece_bytes, needed + piece_bytes)) {
    AlignedBytes other{
        std::max(piece_bytes, (needed + piece_bytes - 1) / piece_bytes * piece_bytes)};
    kept.copy(other.span().data(), kept_bytes);
    bytes_ = std::move(other);
  } else if (!kept.empty()) {
    std::memmove(bytes_.span().data(), kept.data(), kept_bytes);
  }
  begin_ = begin;
  filled_ = kept_bytes;
  const auto read = file_->read_at(begin + kept_bytes, bytes_.span().subspan(kept_bytes));
  if (!read) return read.error();
  filled_ += *read;
  // The missing bytes would look like zeros that were never overwritten.
  if (begin_ + filled_ < std::min<std::uint64_t>(begin_ + bytes_.view().size(), size_)) {
    return cut_short(path_, begin_ + filled_, size_);
  }
  return in_memory(offset);
}

}  // namespace locker::persistence
