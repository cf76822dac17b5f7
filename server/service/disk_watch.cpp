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
    on_warning_("the store's disk has responded, after more than " + seconds_of(hung_for_));
  }
  const bool hangs = write_age >= disk_patience;
  if (hangs && (!is_told || has_answered)) {
    on_warning_(
        "the store's disk has not responded for " + seconds_of(write_age) +
        ": requests that wait for it are not acknowledged until it does. Check the kernel's log "
        "(dmesg), and what can block the disk: a path to it, a snapshot of it, fsfreeze");
  }
  hung_for_ = hangs ? write_age : std::chrono::nanoseconds{0};
}

}  // namespace locker::server
