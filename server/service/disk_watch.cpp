#include "server/service/disk_watch.hpp"

#include <string>

namespace locker::server {
namespace {

std::string seconds_of(std::chrono::nanoseconds age) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age).count()) + " s";
}

}  // namespace

void DiskWatch::look(std::chrono::nanoseconds write_age) {
  const bool is_told = hung_for_ != std::chrono::nanoseconds{0};
  const bool has_answered = is_told && write_age < hung_for_;
  if (has_answered) {
    on_warning_("the disk of the store has answered, after more than " + seconds_of(hung_for_));
  }
  const bool hangs = write_age >= disk_patience;
  if (hangs && (!is_told || has_answered)) {
    on_warning_("the disk of the store has not answered for " + seconds_of(write_age) +
                ": what waits for it is not acknowledged until it does. Look at the kernel's log "
                "(dmesg), and at what the disk hangs on: a path to it, a snapshot of it, fsfreeze");
  }
  hung_for_ = hangs ? write_age : std::chrono::nanoseconds{0};
}

}  // namespace locker::server
