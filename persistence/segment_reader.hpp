#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "persistence/aligned_bytes.hpp"
#include "persistence/segment_scan.hpp"

namespace locker::persistence {

/// Reads a segment from the disk piece by piece: recovery already has all locks in memory, and
/// needs no buffer as large as a segment.
class SegmentReader final : private SegmentBytes {
 public:
  /// Opens the segment and checks its header and length, as check_segment() does.
  [[nodiscard]] static OpenResult<SegmentReader> open(FileSystem& files,
                                                      const std::string& directory,
                                                      Index first_index, const StoreId& store);
  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  [[nodiscard]] bool is_sealed() const { return is_sealed_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }

  /// As scan_segment(). If a read fails, `on_frame` has been called for all frames before that
  /// point.
  [[nodiscard]] OpenResult<SegmentEnd> scan(const std::function<void(const Frame&)>& on_frame);

 private:
  SegmentReader(std::unique_ptr<File> file, std::string path, std::uint64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}
  [[nodiscard]] IoResult<std::string_view> from(std::uint64_t offset, std::uint64_t size) override;
  /// Returns the bytes in memory from `offset` on, or none.
  [[nodiscard]] std::string_view in_memory(std::uint64_t offset) const;

  /// Bytes in memory; more only while a frame is larger.
  static constexpr std::size_t piece_bytes = std::size_t{256} << 10U;

  std::unique_ptr<File> file_;
  std::string path_;
  std::uint64_t size_;
  SegmentHeader header_{};
  bool is_sealed_ = false;
  AlignedBytes bytes_{piece_bytes};
  std::uint64_t begin_ = 0;  // offset in the file of bytes_
  std::size_t filled_ = 0;   // how many of bytes_ were read
};

}  // namespace locker::persistence
