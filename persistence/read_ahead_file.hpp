#pragma once

#include <future>
#include <memory>
#include <string_view>
#include <utility>

#include "persistence/aligned_bytes.hpp"
#include "persistence/file_system.hpp"

namespace locker::persistence {

/// A file opened for reading, with read-ahead. When it is read sequentially, a thread reads the
/// next piece while the caller works on the current one: uncached reads wait for the disk, and the
/// kernel does not read ahead for them. If no thread can be started, the caller waits. Not
/// thread-safe.
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

  /// Starts to read the piece at `offset`, reusing the memory of `piece` if not null.
  void begin(std::uint64_t offset, std::unique_ptr<Piece> piece);

  std::unique_ptr<File> file_;
  std::uint64_t end_of_last_ = 0;  ///< End of the last read, to detect a jump.
  std::unique_ptr<Piece> piece_;   ///< The newest piece from next_, or null.
  std::uint64_t next_offset_ = 0;  ///< Of the piece being read.
  std::future<std::unique_ptr<Piece>>
      next_;  ///< Its destructor waits. Not valid: no piece is being read.
};

}  // namespace locker::persistence
