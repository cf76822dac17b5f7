#pragma once

#include <future>
#include <memory>
#include <string_view>
#include <utility>

#include "persistence/aligned_bytes.hpp"
#include "persistence/file_system.hpp"

namespace locker::persistence {

/// A file that is opened for reading. When it is read from front to back, a thread reads the next
/// piece while the caller works on this one: a read around the page cache waits for the disk, and
/// nobody else reads ahead. Where the system gives no thread, the caller waits. One thread calls.
class ReadAheadFile final : public File {
 public:
  explicit ReadAheadFile(std::unique_ptr<File> file) : file_(std::move(file)) {}

  [[nodiscard]] IoResult<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    return file_->write_at(offset, bytes);
  }
  [[nodiscard]] IoResult<std::size_t> read_at(std::uint64_t offset, std::span<char> bytes) override;
  [[nodiscard]] IoResult<void> sync() override { return file_->sync(); }
  [[nodiscard]] IoResult<void> allocate(std::uint64_t bytes) override {
    return file_->allocate(bytes);
  }
  [[nodiscard]] IoResult<std::uint64_t> size() const override { return file_->size(); }

 private:
  struct Piece {
    std::uint64_t offset = 0;
    AlignedBytes bytes{piece_bytes};
    IoResult<std::size_t> size{0};
  };
  static constexpr std::size_t piece_bytes = std::size_t{256} << 10U;

  /// Reads the next piece, into the memory of one that is done with.
  void begin(std::uint64_t offset, std::unique_ptr<Piece> piece);

  std::unique_ptr<File> file_;
  std::uint64_t end_of_last_ = 0;  ///< Where the last read ended: it goes on there, or jumps.
  std::unique_ptr<Piece> piece_;   ///< The newest that next_ gave, or null.
  std::uint64_t next_offset_ = 0;  ///< Of the one that is read.
  std::future<std::unique_ptr<Piece>> next_;  ///< Its destructor waits. Not valid: none is read.
};

}  // namespace locker::persistence
