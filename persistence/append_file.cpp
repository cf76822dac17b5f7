#include "persistence/append_file.hpp"

#include <algorithm>
#include <utility>

namespace locker::persistence {
namespace {

constexpr std::uint64_t block_bytes = direct_alignment;

}  // namespace

IoResult<void> AppendFile::write_at(std::uint64_t offset, std::string_view bytes) {
  const std::uint64_t before = offset % block_bytes;
  const std::uint64_t begin = offset - before;
  const std::size_t blocks = (before + bytes.size() + block_bytes - 1) / block_bytes;
  const std::size_t size = blocks * block_bytes;
  if (size > blocks_.span().size()) {
    AlignedBytes larger{size};
    std::ranges::copy(blocks_.span().first(block_bytes), larger.span().begin());
    blocks_ = std::move(larger);
  }
  const std::span<char> written = blocks_.span().first(size);
  const std::span<char> first = written.first(block_bytes);
  const std::span<char> last = written.last(block_bytes);
  if (begin != last_block_) {
    std::ranges::fill(first, '\0');
    if (before != 0) {
      if (auto read = file_->read_at(begin, first); !read) return read.error();
    }
  }
  if (blocks > 1) std::ranges::fill(last, '\0');
  std::ranges::copy(bytes, written.begin() + static_cast<std::ptrdiff_t>(before));
  if (auto done = file_->write_at(begin, {written.data(), size}); !done) return done.error();
  if (blocks > 1) std::ranges::copy(last, first.begin());
  last_block_ = begin + size - block_bytes;
  return {};
}

}  // namespace locker::persistence
