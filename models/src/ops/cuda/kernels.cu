// Kernels over [B, H, W, C] maps: one thread for each number of the output, channels fastest, no atomics, so every result
// is the same every time. Compiled by NVRTC without any header: half precision types are their bits, widened to float.

struct bf16 { unsigned short bits; };
struct f16 { unsigned short bits; };

__device__ float wide(float v) { return v; }
__device__ double wide(double v) { return v; }
__device__ float wide(bf16 v) { return __uint_as_float((unsigned)v.bits << 16); }
__device__ float wide(f16 v) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.bits));
    return f;
}

__device__ void store(float& to, float v) { to = v; }
__device__ void store(double& to, double v) { to = v; }
__device__ void store(bf16& to, float v) {
    unsigned u = __float_as_uint(v);
    // To the nearest, ties to even; a NaN stays one.
    to.bits = v != v ? (u >> 16) | 0x40 : (u + 0x7FFF + ((u >> 16) & 1)) >> 16;
}
__device__ void store(f16& to, float v) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(v));
}

// As `Window` in launch.rs.
struct Window {
    int height, width, channels, out_height, out_width, size, stride, pad, dilation;
};

__device__ unsigned index() { return blockIdx.x * blockDim.x + threadIdx.x; }

// Sample, row, column and channel of element `i` of a map of `height` x `width` pixels.
struct Place {
    unsigned sample, channel;
    int y, x;
    __device__ Place(unsigned i, int height, int width, int channels) {
        channel = i % channels;
        i /= channels;
        x = i % width;
        i /= width;
        y = i % height;
        sample = i / height;
    }
};

__device__ unsigned element(unsigned sample, int y, int x, unsigned channel, int height, int width, int channels) {
    return ((sample * height + y) * width + x) * channels + channel;
}

// Output row (or column) of the window whose tap `tap` lies on input row `at`; -1 if there is none.
__device__ int window_over(int at, int tap, int out, Window w) {
    int start = at + w.pad - tap * w.dilation;
    return start < 0 || start % w.stride != 0 || start / w.stride >= out ? -1 : start / w.stride;
}

// Calls f(value, pixel) for the values of one window in row order, padding left out.
template <typename T, typename F>
__device__ void each_tap(const T* x, unsigned sample, int oy, int ox, unsigned channel, Window w, F f) {
    for (int ky = 0; ky < w.size; ky++) {
        int y = oy * w.stride + ky * w.dilation - w.pad;
        if (y < 0 || y >= w.height) continue;
        for (int kx = 0; kx < w.size; kx++) {
            int c = ox * w.stride + kx * w.dilation - w.pad;
            if (c < 0 || c >= w.width) continue;
            f(wide(x[element(sample, y, c, channel, w.height, w.width, w.channels)]), y * w.width + c);
        }
    }
}

// The largest value of a window and its pixel, the first of equal ones; a NaN is the largest. Pixel -1: all is padding.
template <typename V>
struct Largest {
    V value;
    int pixel;
    __device__ Largest() : value(-(V)__uint_as_float(0x7F800000)), pixel(-1) {}
    __device__ void see(V v, int at) {
        if (v > value || v != v || pixel < 0) {
            value = v;
            pixel = at;
        }
    }
};

template <typename T>
__device__ void relu(const T* x, T* y, unsigned n) {
    unsigned i = index();
    if (i >= n) return;
    auto v = wide(x[i]);
    store(y[i], v < 0 ? 0 : v);
}

// As PyTorch: no gradient where the output is at most 0; a NaN lets it pass.
template <typename T>
__device__ void relu_grad(const T* y, const T* dy, T* dx, unsigned n) {
    unsigned i = index();
    if (i >= n) return;
    auto d = wide(dy[i]);
    store(dx[i], wide(y[i]) <= 0 ? 0 : d);
}

template <typename T, typename V>
__device__ void max_pool(const T* x, T* y, unsigned n, Window w) {
    unsigned i = index();
    if (i >= n) return;
    Place at(i, w.out_height, w.out_width, w.channels);
    Largest<V> best;
    each_tap(x, at.sample, at.y, at.x, at.channel, w, [&](V v, int pixel) { best.see(v, pixel); });
    store(y[i], best.value);
}

// Looks for each maximum again: cheaper than keeping an index for every output.
template <typename T, typename V>
__device__ void max_pool_grad(const T* x, const T* dy, T* dx, unsigned n, Window w) {
    unsigned i = index();
    if (i >= n) return;
    Place at(i, w.height, w.width, w.channels);
    V sum = 0;
    for (int ky = w.size - 1; ky >= 0; ky--) {
        int oy = window_over(at.y, ky, w.out_height, w);
        if (oy < 0) continue;
        for (int kx = w.size - 1; kx >= 0; kx--) {
            int ox = window_over(at.x, kx, w.out_width, w);
            if (ox < 0) continue;
            Largest<V> best;
            each_tap(x, at.sample, oy, ox, at.channel, w, [&](V v, int pixel) { best.see(v, pixel); });
            if (best.pixel == at.y * w.width + at.x)
                sum += wide(dy[element(at.sample, oy, ox, at.channel, w.out_height, w.out_width, w.channels)]);
        }
    }
    store(dx[i], sum);
}

template <typename T, typename V>
__device__ void avg_pool(const T* x, T* y, unsigned n, Window w) {
    unsigned i = index();
    if (i >= n) return;
    Place at(i, w.out_height, w.out_width, w.channels);
    V sum = 0;
    each_tap(x, at.sample, at.y, at.x, at.channel, w, [&](V v, int) { sum += v; });
    store(y[i], sum * ((V)1 / (w.size * w.size)));
}

template <typename T, typename V>
__device__ void avg_pool_grad(const T* dy, T* dx, unsigned n, Window w) {
    unsigned i = index();
    if (i >= n) return;
    Place at(i, w.height, w.width, w.channels);
    V sum = 0;
    for (int ky = w.size - 1; ky >= 0; ky--) {
        int oy = window_over(at.y, ky, w.out_height, w);
        if (oy < 0) continue;
        for (int kx = w.size - 1; kx >= 0; kx--) {
            int ox = window_over(at.x, kx, w.out_width, w);
            if (ox < 0) continue;
            sum += wide(dy[element(at.sample, oy, ox, at.channel, w.out_height, w.out_width, w.channels)]);
        }
    }
    store(dx[i], sum * ((V)1 / (w.size * w.size)));
}

// The kernels for numbers of type T, computed in V; the names are those that launch.rs asks for.
#define KERNELS(T, V, NAME)                                                                                            \
    extern "C" __global__ void relu_##NAME(const T* x, T* y, unsigned n) { relu(x, y, n); }                           \
    extern "C" __global__ void relu_grad_##NAME(const T* y, const T* dy, T* dx, unsigned n) {                         \
        relu_grad(y, dy, dx, n);                                                                                       \
    }                                                                                                                  \
    extern "C" __global__ void max_pool_##NAME(const T* x, T* y, unsigned n, Window w) {                              \
        max_pool<T, V>(x, y, n, w);                                                                                    \
    }                                                                                                                  \
    extern "C" __global__ void max_pool_grad_##NAME(const T* x, const T* dy, T* dx, unsigned n, Window w) {           \
        max_pool_grad<T, V>(x, dy, dx, n, w);                                                                          \
    }                                                                                                                  \
    extern "C" __global__ void avg_pool_##NAME(const T* x, T* y, unsigned n, Window w) {                              \
        avg_pool<T, V>(x, y, n, w);                                                                                    \
    }                                                                                                                  \
    extern "C" __global__ void avg_pool_grad_##NAME(const T* dy, T* dx, unsigned n, Window w) {                       \
        avg_pool_grad<T, V>(dy, dx, n, w);                                                                             \
    }

KERNELS(float, float, f32)
KERNELS(double, double, f64)
KERNELS(bf16, float, bf16)
KERNELS(f16, float, f16)
