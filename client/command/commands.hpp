#pragma once

#include "client/command/command_line.hpp"

namespace locker::client {

// The commands of `locker`. Each takes the arguments after its name, and returns the exit code.
int run_acquire_command(const Arguments& arguments);
int run_force_command(const Arguments& arguments);
int run_list_command(const Arguments& arguments);
int run_release_command(const Arguments& arguments);
int run_renew_command(const Arguments& arguments);
int run_run_command(const Arguments& arguments);
int run_show_command(const Arguments& arguments);
int run_status_command(const Arguments& arguments);
int run_store_command(const Arguments& arguments);
int run_top_command(const Arguments& arguments);
int run_token_command(const Arguments& arguments);
int run_watch_command(const Arguments& arguments);

}  // namespace locker::client
