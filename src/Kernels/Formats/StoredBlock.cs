using System.Runtime.Intrinsics;

namespace LlamaCluster.Kernels.Formats;

/// <summary>32 columns of one row as they are stored: unsigned codes and scales, nothing multiplied yet.</summary>
/// <param name="First">Codes of columns 0..15.</param>
/// <param name="Second">Codes of columns 16..31.</param>
/// <param name="Scale">d, an IEEE half.</param>
/// <param name="Min">m, an IEEE half; 0 for types without.</param>
/// <param name="A">First small scale, for types that have them.</param>
/// <param name="B">Second small scale.</param>
readonly record struct StoredBlock(Vector128<byte> First, Vector128<byte> Second, ushort Scale, ushort Min = 0, byte A = 0, byte B = 0);
