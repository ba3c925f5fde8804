namespace LlamaCluster.Model.Sampling;

/// <summary>
/// Random numbers without state: a hash of seed and position. The same seed and position give the same number on any worker,
/// in any order, before and after a recovery. The hash is SplitMix64's finaliser (https://prng.di.unimi.it/splitmix64.c), twice,
/// so that neighbouring seeds are as unlike as neighbouring positions.
/// </summary>
static class CounterRandom
{
    const ulong Golden = 0x9E3779B97F4A7C15;

    /// <summary>Evenly spread in [0, 1), 53 bits.</summary>
    public static double Next(ulong seed, int position) =>
        (Mix(Mix(seed + Golden) + (((ulong)position + 1) * Golden)) >> 11) * (1.0 / (1UL << 53));

    static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
