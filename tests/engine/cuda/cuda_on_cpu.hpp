// Runs CUDA C kernels on a CPU, unchanged, one block after another.
//
// A thread of a block is a fiber: a stack of its own, on which the kernel runs until it meets a barrier, where the next
// thread has its turn. A kernel without a barrier needs no stacks and runs as a plain loop over its threads. Threads
// run from the first to the last, or from the last to the first: where the two orders give different results, a barrier
// is missing or two threads write to the same place. Warps run one after another up to the block's next barrier; only
// where the lanes of a warp work together (see multiply_16_8_8) do they wait for each other.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SWITCH_BEGINS(from, stack, size) __sanitizer_start_switch_fiber(from, stack, size)
#define SWITCH_ENDS(from) __sanitizer_finish_switch_fiber(from, nullptr, nullptr)
#define __shared__ static  // the sanitizer guards the ends of each array
#else
#define SWITCH_BEGINS(from, stack, size)
#define SWITCH_ENDS(from)
#define __shared__ static __attribute__((section("shared_memory")))  // all of it in one place: see spoil
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct double2 {
    double x, y;
};

struct dim3 {
    unsigned x, y, z;
};

extern char __start_shared_memory[] __attribute__((weak));
extern char __stop_shared_memory[] __attribute__((weak));

namespace cpu {

enum class State { ready, waiting, in_warp, done };

struct Fiber {
    ucontext_t context;  // where it begins; jumps lead on from there, which need no system calls
    jmp_buf place;
    char* stack;
    void* fake_stack;
    dim3 thread;
    State state;
};

constexpr size_t stack_bytes = 1 << 16;
constexpr unsigned most_threads = 1024;
constexpr unsigned warp_size = 32;

static Fiber fibers[most_threads];
static Fiber* running = nullptr;
static jmp_buf scheduler;
static void* scheduler_fake_stack;
static const void* scheduler_stack;
static size_t scheduler_bytes;
static dim3 thread_index, block_index, block_size, grid_size;
static void (*body)(void*);
static void* argument;

static inline const dim3& thread() { return running ? running->thread : thread_index; }

static dim3 unravel(uint64_t i, dim3 size) {
    return {unsigned(i % size.x), unsigned(i / size.x % size.y), unsigned(i / size.x / size.y)};
}

static inline void leave(State state) {
    running->state = state;
    SWITCH_BEGINS(&running->fake_stack, scheduler_stack, scheduler_bytes);
    if (!_setjmp(running->place)) _longjmp(scheduler, 1);
    SWITCH_ENDS(running->fake_stack);
}

// The life of a fiber: thread after thread, block after block.
static void live() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_bytes);
#endif
    for (;;) {
        body(argument);
        leave(State::done);
    }
}

static void resume(Fiber& fiber) {
    running = &fiber;
    if (!fiber.stack) {
        fiber.stack = static_cast<char*>(malloc(stack_bytes));
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack;
        fiber.context.uc_stack.ss_size = stack_bytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, live, 0);
        SWITCH_BEGINS(&scheduler_fake_stack, fiber.stack, stack_bytes);
        if (!_setjmp(scheduler)) setcontext(&fiber.context);
    } else {
        SWITCH_BEGINS(&scheduler_fake_stack, fiber.stack, stack_bytes);
        if (!_setjmp(scheduler)) _longjmp(fiber.place, 1);
    }
    SWITCH_ENDS(scheduler_fake_stack);
}

// What lies in shared memory when a block starts is undefined on a GPU; here it is NaN, and -1 as an integer.
static void spoil() {
    const size_t bytes = __start_shared_memory ? size_t(__stop_shared_memory - __start_shared_memory) : 0;
    if (bytes) memset(__start_shared_memory, 0xff, bytes);
}

// Runs a warp to the block's next barrier, or to its end. Returns false when some lanes wait for others in vain.
static bool run_warp(Fiber* lanes, unsigned count, bool descending) {
    for (;;) {
        unsigned together = 0;
        for (unsigned k = 0; k < count; k++) {
            Fiber& lane = lanes[descending ? count - 1 - k : k];
            resume(lane);
            together += lane.state == State::in_warp;
        }
        if (together == 0) return true;
        if (together != count) return false;
    }
}

// Returns false when some threads of the block wait at a barrier that others never reach.
static bool run_with_barriers(unsigned threads, bool descending) {
    for (unsigned i = 0; i < threads; i++) {
        fibers[i].thread = unravel(i, block_size);
        fibers[i].state = State::ready;
    }
    const unsigned warps = (threads + warp_size - 1) / warp_size;
    for (;;) {
        unsigned waiting = 0, done = 0;
        for (unsigned k = 0; k < warps; k++) {
            const unsigned first = (descending ? warps - 1 - k : k) * warp_size;
            const unsigned lanes = threads - first < warp_size ? threads - first : warp_size;
            if (!run_warp(fibers + first, lanes, descending)) return false;
            for (unsigned i = first; i < first + lanes; i++) {
                waiting += fibers[i].state == State::waiting;
                done += fibers[i].state == State::done;
            }
        }
        running = nullptr;
        if (done == threads) return true;
        if (waiting != threads) return false;
    }
}

static bool run_blocks(const unsigned* grid, const unsigned* block, bool barriers, bool descending) {
    grid_size = {grid[0], grid[1], grid[2]};
    block_size = {block[0], block[1], block[2]};
    const uint64_t blocks = uint64_t(grid[0]) * grid[1] * grid[2];
    const unsigned threads = block[0] * block[1] * block[2];
    for (uint64_t b = 0; b < blocks; b++) {
        block_index = unravel(descending ? blocks - 1 - b : b, grid_size);
        spoil();
        if (barriers) {
            if (!run_with_barriers(threads, descending)) return false;
            continue;
        }
        for (unsigned i = 0; i < threads; i++) {
            thread_index = unravel(descending ? threads - 1 - i : i, block_size);
            body(argument);
        }
    }
    return true;
}

template <class... A, size_t... I>
static bool launch(void (*kernel)(A...), void** arguments, std::index_sequence<I...>, const unsigned* grid,
                   const unsigned* block, bool barriers, bool descending) {
    auto call = [&] { kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...); };
    body = [](void* c) { (*static_cast<decltype(call)*>(c))(); };
    argument = &call;
    return run_blocks(grid, block, barriers, descending);
}

template <class... A>
static bool launch(void (*kernel)(A...), void** arguments, const unsigned* grid, const unsigned* block, bool barriers,
                   bool descending) {
    return launch(kernel, arguments, std::index_sequence_for<A...>{}, grid, block, barriers, descending);
}

// What NumPy calls a parameter's type, with an asterisk in front for a pointer.
template <class T>
static const char* name_of() {
    using V = std::remove_cv_t<T>;
    if (std::is_same<V, float>::value) return "float32";
    if (std::is_same<V, double>::value) return "float64";
    if (std::is_same<V, bool>::value) return "bool";
    if (std::is_integral<V>::value) {
        static const char* names[2][4] = {{"uint8", "uint16", "uint32", "uint64"}, {"int8", "int16", "int32", "int64"}};
        return names[std::is_signed<V>::value][sizeof(V) == 1 ? 0 : sizeof(V) == 2 ? 1 : sizeof(V) == 4 ? 2 : 3];
    }
    return "unknown";
}

template <class... A>
static void describe(void (*)(A...), char* text) {
    const char* kinds[] = {(std::is_pointer<A>::value ? "*" : "")..., ""};
    const char* names[] = {name_of<std::remove_pointer_t<A>>()..., ""};
    *text = 0;
    for (size_t i = 0; i < sizeof...(A); i++) strcat(strcat(strcat(text, i ? " " : ""), kinds[i]), names[i]);
}

}  // namespace cpu

#define threadIdx (cpu::thread())
#define blockIdx cpu::block_index
#define blockDim cpu::block_size
#define gridDim cpu::grid_size
#define __syncthreads() cpu::leave(cpu::State::waiting)

// CUDA's names that C++ does not have, or not in the global namespace.
template <class T>
static inline T __ldg(const T* p) { return *p; }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline long long min(long long a, long long b) { return a < b ? a : b; }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

// TF32, rounded to nearest, ties away from zero: 10 bits of mantissa are left.
static inline float to_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = (bits + 0x1000u) & ~0x1fffu;
    memcpy(&x, &bits, 4);
    return x;
}

// A tensor core's product, D (16×8) += A (16×8) · B (8×8), by the lanes of a warp together: PTX's
// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32. Of factors that are not rounded the hardware drops the last bits;
// here they become NaN.
static inline void multiply_16_8_8(float* d, const float* a, const float* b) {
    static float left[16][8], right[8][8];
    const unsigned lane = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const unsigned g = lane % 32 / 4, t = lane % 4;
    auto checked = [](float x) { return to_tf32(x) == x ? x : NAN; };
    for (unsigned i = 0; i < 4; i++) left[g + 8 * (i % 2)][t + 4 * (i / 2)] = checked(a[i]);
    for (unsigned i = 0; i < 2; i++) right[t + 4 * i][g] = checked(b[i]);
    cpu::leave(cpu::State::in_warp);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 8; k++) d[i] += left[g + 8 * (i / 2)][k] * right[k][2 * t + i % 2];
    cpu::leave(cpu::State::in_warp);
}
