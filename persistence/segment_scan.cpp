#include "persistence/segment_scan.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "core/record.hpp"

namespace locker::persistence {
namespace {

/// Returns the length up to the last byte that is not zero. Takes large steps: up to 64 MiB of a
/// segment are empty.
std::size_t used_bytes(std::string_view bytes) {
  static constexpr std::array<char, 4096> zeros{};
  while (bytes.ends_with(std::string_view{zeros.data(), zeros.size()})) {
    bytes.remove_suffix(zeros.size());
  }
  const std::size_t last = bytes.find_last_not_of('\0');
  return last == std::string_view::npos ? 0 : last + 1;
}

/// Whether a valid frame further on was written when the record `index` was durable. The segment
/// has fewer than `records_max` records.
bool later_frame_relies_on(std::string_view rest, Index index, std::uint64_t records_max,
                           std::uint64_t salt) {
  for (std::size_t at = 0; at < rest.size(); at += frame_alignment) {
    const auto frame = read_unchecked_frame(rest.substr(at));
    // Checks the indexes first, which match in a frame of this segment and hardly ever elsewhere.
    // Much of the records looks like a length, and computing a checksum at each of those places
    // would take far too long.
    const bool says_so = frame && frame->synced_index >= index &&
                         frame->first_index > frame->synced_index &&
                         frame->first_index - index < records_max;
    if (says_so && has_right_checksum(*frame, salt)) return true;
  }
  return false;
}

/// The step of the search for the last byte that is not zero.
constexpr std::size_t looked_at_once = std::size_t{256} << 10U;

class BytesInMemory final : public SegmentBytes {
 public:
  explicit BytesInMemory(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] IoResult<std::string_view> from(std::uint64_t offset, std::uint64_t) override {
    return bytes_.substr(offset);
  }

 private:
  std::string_view bytes_;
};

}  // namespace

IoResult<SegmentEnd> scan_segment(SegmentBytes& bytes, const SegmentHeader& header,
                                  const std::function<void(const Frame&)>& on_frame) {
  SegmentEnd end;
  end.offset = segment_header_bytes;
  end.next_index = header.first_index;
  end.checksum = header.previous;
  for (;;) {
    const auto front = bytes.from(end.offset, frame_overhead_max);
    if (!front) return front.error();
    const std::uint64_t said = frame_bytes_said(*front);
    if (said == 0 || said > bytes.size() - end.offset) break;
    const auto whole = bytes.from(end.offset, said);
    if (!whole) return whole.error();
    const auto frame = read_frame(*whole, header.salt);
    if (!frame || frame->first_index != end.next_index || frame->previous != end.checksum) break;
    on_frame(*frame);
    end.offset = std::min<std::uint64_t>(end.offset + frame->size(), bytes.size());
    end.next_index += frame->count;
    end.checksum = frame->checksum;
  }
  for (std::uint64_t at = end.offset; at < bytes.size(); at += looked_at_once) {
    const auto rest = bytes.from(at, looked_at_once);
    if (!rest) return rest.error();
    const std::size_t used = used_bytes(rest->substr(0, looked_at_once));
    if (used != 0) end.tail_bytes = at - end.offset + used;
  }
  if (end.tail_bytes == 0) return end;
  // A record can end in zeros but does not begin with one, so the last frame ends at most one
  // record after the last byte that is not zero.
  const std::uint64_t rest_bytes = end.tail_bytes + core::record_bytes_max;
  const auto rest = bytes.from(end.offset, rest_bytes);
  if (!rest) return rest.error();
  const bool was_whole =
      later_frame_relies_on(rest->substr(0, rest_bytes), end.next_index, bytes.size(), header.salt);
  end.tail = was_whole ? Tail::damaged : Tail::torn;
  return end;
}

SegmentEnd scan_segment(std::string_view bytes, const SegmentHeader& header,
                        const std::function<void(const Frame&)>& on_frame) {
  BytesInMemory whole{bytes};
  return *scan_segment(whole, header, on_frame);
}

IoError cut_short(const std::string& path, std::uint64_t read, std::uint64_t size) {
  return {make_error_code(boost::system::errc::io_error),
          "cannot read all of " + path + ": it ends after " + std::to_string(read) + " of " +
              std::to_string(size) + " bytes",
          true};
}

IoResult<WholeFile> read_whole(FileSystem& files, const std::string& path) {
  auto file = files.open(path, Access::read);
  if (!file) return file.error();
  const auto size = (*file)->size();
  if (!size) return size.error();
  const std::size_t rounded = (static_cast<std::size_t>(*size) + direct_alignment - 1) /
                              direct_alignment * direct_alignment;
  AlignedBytes bytes{rounded};
  const auto read = (*file)->read_at(0, bytes.span());
  if (!read) return read.error();
  // The missing bytes would look like zeros that were never overwritten.
  if (*read < *size) return cut_short(path, *read, *size);
  std::fill(bytes.span().begin() + static_cast<std::ptrdiff_t>(*read), bytes.span().end(), '\0');
  return WholeFile{std::move(bytes), *size};
}

OpenResult<SegmentHeader> check_segment(std::string_view front, std::uint64_t size,
                                        const std::string& path, Index first_index,
                                        const StoreId& store) {
  const auto header = decode_segment_header(front, store, path);
  if (!header) return header.error();
  if (header->first_index != first_index) {
    return OpenFault{OpenFault::Kind::damaged, path + " holds the records from index " +
                                                   std::to_string(header->first_index) +
                                                   " on; it was renamed: its name should be " +
                                                   segment_name(header->first_index) + "."};
  }
  const bool has_right_size = header->bytes != 0
                                  ? size == header->bytes
                                  : size >= segment_bytes_min && std::has_single_bit(size);
  if (!has_right_size) {
    const std::string made_with = header->bytes != 0
                                      ? "it was made with " + std::to_string(header->bytes)
                                      : "a segment is made with a power of two of them, at least " +
                                            std::to_string(segment_bytes_min);
    return OpenFault{OpenFault::Kind::damaged, path + " has " + std::to_string(size) +
                                                   " bytes, and " + made_with +
                                                   ": its end is missing, or something was written "
                                                   "after it. Restore the store from a backup."};
  }
  return *header;
}

std::string describe_damage(const std::string& path, const SegmentEnd& end) {
  return path + " at offset " + std::to_string(end.offset) + " (index " +
         std::to_string(end.next_index) +
         "): the frame is damaged, and a later one shows that it was acknowledged. Nothing is cut "
         "off; restore the store from a backup, or from the disk's mirror.";
}

}  // namespace locker::persistence
