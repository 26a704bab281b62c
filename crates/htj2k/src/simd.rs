//! One body of code, compiled for each SIMD level, chosen at run time (on WebAssembly when it is built).
//!
//! The bodies are plain Rust; what differs is what the compiler may use for them. The block coder has steps of its own at some
//! levels, and at [`SimdLevel::Scalar`] it is the plain one that follows the standard bit by bit. All levels give the same bytes. This
//! module holds the only `unsafe` outside the block coder: the call of a function whose target features are known to be there.

/// Instructions that the codec can be told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SimdLevel {
    /// The block coder of the standard, bit by bit: the oracle of the others, and slow.
    Scalar,
    /// The fast code for a processor of no known kind.
    Portable,
    /// SSE2, which every x86-64 has.
    Sse2,
    /// AVX2, BMI1, BMI2, LZCNT and POPCNT (x86-64-v3).
    Avx2,
    /// The same and AVX-512 F, BW, CD, DQ and VL (x86-64-v4). The block coder is that of AVX2.
    Avx512,
    /// NEON, which every aarch64 has.
    Neon,
    /// simd128 of WebAssembly, if the module was built with it.
    Simd128,
}

/// A level that this machine is known to have.
///
/// ```
/// use htj2k::{Simd, SimdLevel};
/// assert!(Simd::forced(SimdLevel::Scalar).is_some());
/// assert!(Simd::all().any(|simd| simd == Simd::detect()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Simd(SimdLevel);

/// What the target is compiled for.
const BASELINE: SimdLevel = if cfg!(target_arch = "x86_64") {
    SimdLevel::Sse2
} else if cfg!(target_arch = "aarch64") {
    SimdLevel::Neon
} else if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) {
    SimdLevel::Simd128
} else {
    SimdLevel::Portable
};

impl Simd {
    /// The best level of this machine.
    pub fn detect() -> Self {
        let best = [SimdLevel::Avx512, SimdLevel::Avx2].into_iter().find_map(Simd::forced);
        best.unwrap_or(Simd(BASELINE))
    }

    /// A certain level, if this machine has it.
    pub fn forced(level: SimdLevel) -> Option<Self> {
        let there = match level {
            SimdLevel::Scalar => true,
            SimdLevel::Avx2 => has_avx2(),
            SimdLevel::Avx512 => has_avx2() && has_avx512(),
            other => other == BASELINE,
        };
        there.then_some(Simd(level))
    }

    /// Every level that this machine has.
    pub fn all() -> impl Iterator<Item = Simd> {
        [SimdLevel::Scalar, BASELINE, SimdLevel::Avx2, SimdLevel::Avx512].into_iter().filter_map(Simd::forced)
    }

    /// Its name.
    #[inline]
    pub fn level(self) -> SimdLevel {
        self.0
    }
}

#[cfg(all(target_arch = "x86_64", feature = "std"))]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("lzcnt")
        && std::arch::is_x86_feature_detected!("popcnt")
}

#[cfg(all(target_arch = "x86_64", feature = "std"))]
fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512cd")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512vl")
}

#[cfg(not(all(target_arch = "x86_64", feature = "std")))]
fn has_avx2() -> bool {
    false
}

#[cfg(not(all(target_arch = "x86_64", feature = "std")))]
fn has_avx512() -> bool {
    false
}

impl Default for Simd {
    fn default() -> Self {
        Simd::detect()
    }
}

/// Compiles a function once for each level; the first argument of the result is the level.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($T:ident: $bound:path),+>)? ($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name $(<$($T: $bound),+>)? (simd: $crate::simd::Simd, $($arg: $ty),*) {
            #[inline(always)]
            fn body $(<$($T: $bound),+>)? ($($arg: $ty),*) $body
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2 $(<$($T: $bound),+>)? ($($arg: $ty),*) {
                body($($arg),*)
            }
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn avx512 $(<$($T: $bound),+>)? ($($arg: $ty),*) {
                body($($arg),*)
            }
            match simd.level() {
                // SAFETY: a `Simd` of this level is made only where these features are.
                #[cfg(all(target_arch = "x86_64", feature = "std"))]
                #[allow(unsafe_code)]
                $crate::simd::SimdLevel::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: likewise.
                #[cfg(all(target_arch = "x86_64", feature = "std"))]
                #[allow(unsafe_code)]
                $crate::simd::SimdLevel::Avx512 => unsafe { avx512($($arg),*) },
                _ => body($($arg),*),
            }
        }
    };
}
pub(crate) use multiversion;
