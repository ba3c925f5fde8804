using System.Text;
using LlamaCluster.Cluster.Checksums;

namespace LlamaCluster.Cluster.Tests.Checksums;

/// <summary>Against the examples of RFC 3720, appendix B.4.</summary>
public class Crc32CTests
{
    [Fact]
    public void Compute_ExamplesOfTheRfc_AreEqual()
    {
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Compute(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794Eu, Crc32C.Compute(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()));
        Assert.Equal(0x113FDB5Cu, Crc32C.Compute(Enumerable.Range(0, 32).Select(i => (byte)(31 - i)).ToArray()));
        Assert.Equal(0xE3069283u, Crc32C.Compute(Encoding.ASCII.GetBytes("123456789")));
    }

    [Fact]
    public void Append_InTwoParts_IsThatOfTheWhole()
    {
        byte[] data = [.. Enumerable.Range(0, 100).Select(i => (byte)(i * 37))];
        for (var cut = 0; cut <= data.Length; cut++)
            Assert.Equal(Crc32C.Compute(data), Crc32C.Append(Crc32C.Compute(data.AsSpan(..cut)), data.AsSpan(cut..)));
    }
}
