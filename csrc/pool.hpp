// A few threads that wait for work: beside torch's own, so that no second OpenMP runtime spins against it.
#pragma once

#include <functional>

namespace knotwork {

// Runs task(0) ... task(count - 1) on so many threads, each taking the next when it is free, and returns when all are done;
// an exception of one is thrown here. Safe after a fork, and from several threads at once (one at a time gets the helpers,
// the others work alone).
void run_together(int threads, int count, const std::function<void(int)>& task);

}  // namespace knotwork
