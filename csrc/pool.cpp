#include "pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace knotwork {
namespace {

class Pool {
    std::mutex lock;
    std::condition_variable work, done;
    std::vector<std::thread> helpers;
    const std::function<void(int)>* task = nullptr;
    int count = 0, next = 0, running = 0, seats = 0;  // seats: helpers that may still join
    std::atomic<unsigned> round{0};
    std::exception_ptr failure;

    void one(int number) {
        try {
            (*task)(number);
        } catch (...) {
            std::lock_guard<std::mutex> hold(lock);
            failure = std::current_exception();
        }
    }

    void wait_for_work() {
        for (unsigned seen = 0;;) {
            // Calls of one training step follow each other closely: look a little before falling asleep.
            for (int spin = 0; spin < 2000 && round.load(std::memory_order_relaxed) == seen; ++spin) std::this_thread::yield();
            std::unique_lock<std::mutex> hold(lock);
            work.wait(hold, [&] { return round.load() != seen; });
            seen = round.load();
            if (seats == 0) continue;
            --seats;
            while (next < count) {
                const int mine = next++;
                hold.unlock();
                one(mine);
                hold.lock();
                if (--running == 0) done.notify_one();
            }
        }
    }

  public:
    const pid_t process = getpid();
    std::mutex in_use;

    void run(int threads, int tasks, const std::function<void(int)>& what) {
        threads = std::min(threads, tasks);
        {
            std::lock_guard<std::mutex> hold(lock);
            while (int(helpers.size()) < threads - 1) helpers.emplace_back([this] { wait_for_work(); });
            task = &what;
            count = tasks;
            next = 1;
            running = tasks - 1;
            seats = threads - 1;
            ++round;
        }
        work.notify_all();
        one(0);
        std::unique_lock<std::mutex> hold(lock);
        while (next < count) {  // what no helper has begun
            const int mine = next++;
            hold.unlock();
            one(mine);
            hold.lock();
            --running;
        }
        done.wait(hold, [&] { return running == 0; });
        count = next = 0;
        if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    }
};

std::atomic<Pool*> current{nullptr};

// Threads do not survive a fork: a child makes a pool of its own. Pools are never destroyed, their threads end with the process.
Pool& pool() {
    Pool* found = current.load();
    if (!found || found->process != getpid()) {
        Pool* fresh = new Pool;
        if (current.compare_exchange_strong(found, fresh)) return *fresh;
        delete fresh;
        return *found;
    }
    return *found;
}

}  // namespace

void run_together(int threads, int count, const std::function<void(int)>& task) {
    Pool* const mine = threads > 1 && count > 1 ? &pool() : nullptr;
    if (mine && mine->in_use.try_lock()) {
        std::lock_guard<std::mutex> hold(mine->in_use, std::adopt_lock);
        return mine->run(threads, count, task);
    }
    for (int number = 0; number < count; ++number) task(number);
}

}  // namespace knotwork
