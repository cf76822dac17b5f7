#include "persistence/snapshot_writer.hpp"

#include <cerrno>
#include <utility>

#include "persistence/snapshot_reader.hpp"

namespace locker::persistence {
namespace {

// One sync at the end would delay the journal's next sync by a third of a second.
constexpr std::uint32_t blocks_per_sync = 4;

}  // namespace

IoResult<SnapshotWriter> SnapshotWriter::create(FileSystem& files, std::string directory,
                                                const SnapshotHeader& header,
                                                std::uint64_t bytes_max) {
  const std::string path = in_directory(directory, unfinished_snapshot_name(header.index));
  // A leftover of an earlier run is worthless.
  auto file = files.open(path, Access::create);
  if (!file && file.error().code == boost::system::errc::file_exists) {
    if (auto removed = files.remove(path); !removed) return removed.error();
    file = files.open(path, Access::create);
  }
  if (!file) return file.error();
  if (auto written = (*file)->write_at(0, encode(header)); !written) return written.error();
  return SnapshotWriter{files, std::move(directory), header, bytes_max, std::move(*file)};
}

std::string SnapshotWriter::temporary_path() const {
  return in_directory(directory_, unfinished_snapshot_name(header_.index));
}

IoResult<void> SnapshotWriter::add(const core::Record& opening) {
  const std::size_t before = records_.size();
  core::append_record(opening, records_);
  if (records_.size() > snapshot_block_bytes - snapshot_block_overhead) {
    const std::string last = records_.substr(before);
    records_.resize(before);
    if (auto written = write_block(false); !written) return written.error();
    records_ = last;
  }
  ++record_count_;
  return {};
}

IoResult<void> SnapshotWriter::write_block(bool is_last) {
  if (bytes() + snapshot_block_bytes > bytes_max_) {
    const boost::system::error_code code(ENOSPC, boost::system::system_category());
    return IoError{code, "cannot write " + temporary_path() +
                             " without using space that the journal needs: " + code.message()};
  }
  const SnapshotBlock block{block_number_, record_count_, is_last, previous_, 0, records_};
  const std::uint64_t offset = bytes();
  previous_ = encode(block, header_.salt, block_);
  ++block_number_;
  record_count_ = 0;
  records_.clear();
  if (auto written = file_->write_at(offset, block_); !written) return written.error();
  return block_number_ % blocks_per_sync == 0 ? file_->sync() : IoResult<void>{};
}

OpenResult<bool> SnapshotWriter::publish(Pace& pace) {
  if (auto written = write_block(true); !written) return open_fault(written.error());
  if (auto synced = file_->sync(); !synced) return open_fault(synced.error());
  file_.reset();
  auto reader = SnapshotReader::open(*files_, temporary_path(), header_.index, header_.store);
  if (!reader) return reader.error();
  auto read = reader->read([&](const core::Record&) { return pace.goes_on(); });
  if (pace.is_stopped()) return false;
  if (!read) return read.error();
  if (auto checked = files_->check_held_directory(); !checked) return open_fault(checked.error());
  const std::string path = in_directory(directory_, snapshot_name(header_.index));
  if (auto renamed = files_->rename(temporary_path(), path); !renamed) {
    return open_fault(renamed.error());
  }
  if (auto synced = files_->sync_directory(directory_); !synced) {
    return open_fault(synced.error());
  }
  return true;
}

}  // namespace locker::persistence
