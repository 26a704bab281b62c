//! One body of code, compiled for each SIMD level, chosen at run time.
//!
//! The bodies are plain Rust; what differs is what the compiler may use for them. So every level gives the same results,
//! and the baseline is the oracle of the others. This module holds the only `unsafe` outside the block coder: the call of a
//! function whose target features are known to be there.

/// What the machine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Simd {
    /// What the target is compiled for: SSE2 on x86-64, NEON on aarch64, simd128 on wasm if enabled.
    Baseline,
    /// AVX2, BMI1, BMI2, LZCNT, POPCNT and FMA.
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    Avx2,
}

impl Simd {
    /// The best level of this machine.
    pub(crate) fn detect() -> Self {
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("lzcnt")
            && std::arch::is_x86_feature_detected!("popcnt")
        {
            return Simd::Avx2;
        }
        Simd::Baseline
    }

    /// Every level that this machine can run.
    #[cfg(test)]
    pub(crate) fn all() -> alloc::vec::Vec<Simd> {
        let mut all = alloc::vec![Simd::Baseline];
        if Simd::detect() != Simd::Baseline {
            all.push(Simd::detect());
        }
        all
    }
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
            match simd {
                $crate::simd::Simd::Baseline => body($($arg),*),
                // SAFETY: `Simd::detect` makes this value only where these features are.
                #[cfg(all(target_arch = "x86_64", feature = "std"))]
                #[allow(unsafe_code)]
                $crate::simd::Simd::Avx2 => unsafe { avx2($($arg),*) },
            }
        }
    };
}
pub(crate) use multiversion;
