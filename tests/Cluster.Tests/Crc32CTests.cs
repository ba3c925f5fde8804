using System.IO.Hashing;
using System.Text;

namespace LlamaCluster.Cluster.Tests;

/// <summary>The library's CRC-32C, as the protocol and the weights cache use it, against the examples of RFC 3720, appendix B.4.</summary>
public class Crc32CTests
{
    [Fact]
    public void Hash_ExamplesOfTheRfc_AreEqual()
    {
        Assert.Equal(0x8A9136AAu, Hash(new byte[32]));
        Assert.Equal(0x62A8AB43u, Hash([.. Enumerable.Repeat((byte)0xFF, 32)]));
        Assert.Equal(0x46DD794Eu, Hash([.. Enumerable.Range(0, 32).Select(i => (byte)i)]));
        Assert.Equal(0x113FDB5Cu, Hash([.. Enumerable.Range(0, 32).Select(i => (byte)(31 - i))]));
        Assert.Equal(0xE3069283u, Hash(Encoding.ASCII.GetBytes("123456789")));
    }

    [Fact]
    public void Append_InTwoParts_IsThatOfTheWhole()
    {
        byte[] data = [.. Enumerable.Range(0, 100).Select(i => (byte)(i * 37))];
        for (var cut = 0; cut <= data.Length; cut++)
        {
            var crc = new Crc32(Crc32ParameterSet.Crc32C);
            crc.Append(data.AsSpan(..cut));
            crc.Append(data.AsSpan(cut..));
            Assert.Equal(Hash(data), crc.GetCurrentHashAsUInt32());
        }
    }

    static uint Hash(byte[] data) => Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, data);
}
