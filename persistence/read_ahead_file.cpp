#include "persistence/read_ahead_file.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace locker::persistence {

void ReadAheadFile::begin(std::uint64_t offset, std::unique_ptr<Piece> piece) {
  next_offset_ = offset;
  if (!piece) piece = std::make_unique<Piece>();
  piece->offset = offset;
  try {
    next_ = std::async(std::launch::async, [this, piece = std::move(piece)]() mutable {
      piece->size = file_->read_at(piece->offset, piece->bytes.span());
      return std::move(piece);
    });
  } catch (const std::system_error&) {
    // No thread is available: the caller reads by itself.
  }
}

IoResult<std::size_t> ReadAheadFile::read_at(std::uint64_t offset, std::span<char> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const std::uint64_t at = offset + done;
    if (at == next_offset_ && next_.valid()) {
      begin(at + piece_bytes, std::exchange(piece_, next_.get()));
    }
    if (!piece_ || at < piece_->offset || at >= piece_->offset + piece_bytes) break;
    if (!piece_->size) return piece_->size.error();
    const std::string_view rest = piece_->bytes.view().substr(0, *piece_->size);
    done += rest.substr(std::min<std::uint64_t>(at - piece_->offset, rest.size()))
                .copy(bytes.data() + done, bytes.size() - done);
    if (rest.size() < piece_bytes && done < bytes.size()) return done;  // end of file
  }
  if (done == bytes.size()) return done;
  auto size = file_->read_at(offset + done, bytes.subspan(done));
  if (!size) return size;
  done += *size;
  const bool goes_on = offset == std::exchange(end_of_last_, offset + done) && offset != 0;
  if (goes_on && done == bytes.size() && !next_.valid()) begin(offset + done, nullptr);
  return done;
}

}  // namespace locker::persistence
