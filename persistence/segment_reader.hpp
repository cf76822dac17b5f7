#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "persistence/aligned_bytes.hpp"
#include "persistence/segment_scan.hpp"

namespace locker::persistence {

/// Reads a segment piece by piece, from the disk: a start, which has all locks in memory already,
/// does not need as much more as a segment has bytes.
class SegmentReader final : private SegmentBytes {
 public:
  /// Opens it and checks its header and its length, as check_segment() does.
  [[nodiscard]] static OpenResult<SegmentReader> open(FileSystem& files,
                                                      const std::string& directory,
                                                      Index first_index, const StoreId& store);
  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  [[nodiscard]] bool is_sealed() const { return is_sealed_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }

  /// As scan_segment(). What `on_frame` was told of comes before anything that does not read.
  [[nodiscard]] OpenResult<SegmentEnd> scan(const std::function<void(const Frame&)>& on_frame);

 private:
  SegmentReader(std::unique_ptr<File> file, std::string path, std::uint64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}
  [[nodiscard]] IoResult<std::string_view> from(std::uint64_t offset, std::uint64_t size) override;
  /// From what is in memory, or nothing of it is.
  [[nodiscard]] std::string_view in_memory(std::uint64_t offset) const;

  /// A piece; more only while a frame is larger.
  static constexpr std::size_t piece_bytes = std::size_t{256} << 10U;

  std::unique_ptr<File> file_;
  std::string path_;
  std::uint64_t size_;
  SegmentHeader header_{};
  bool is_sealed_ = false;
  AlignedBytes bytes_{piece_bytes};
  std::uint64_t begin_ = 0;  // where in the file they stand
  std::size_t filled_ = 0;   // how many of them were read
};

}  // namespace locker::persistence
