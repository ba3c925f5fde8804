using System.Security.Cryptography;
using LlamaCluster.Kernels.Formats;

namespace LlamaCluster.Kernels.Tests.Formats;

/// <summary>The code books are those of ggml-common.h: digests of its tables, which have a byte for each column.</summary>
public sealed class CodeGridTests
{
    [Theory]
    [InlineData("iq2xxs_grid", "05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54")]
    [InlineData("iq2xs_grid", "06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de")]
    [InlineData("iq2s_grid", "e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88")]
    [InlineData("iq3xxs_grid", "46e35f5a997efdee6c99ce57854c8a0d4f0ff8ca57e5e8a60c0793ea580acf5d")]
    [InlineData("iq3s_grid", "bd1af4945a1717c65610b0284e4628b9a1ba3b306fae3a06f6e5f597356e349f")]
    [InlineData("iq1s_grid", "07540ffc1aeaf6ad4d97e96b0fcc765aae39671d4ae4a27bbd0e796fde167c6a")]
    public void A_book_has_the_digest_of_the_table(string table, string expected)
    {
        var grid = table switch
        {
            "iq2xxs_grid" => CodeGrid.Iq2Xxs,
            "iq2xs_grid" => CodeGrid.Iq2Xs,
            "iq2s_grid" => CodeGrid.Iq2S,
            "iq3xxs_grid" => CodeGrid.Iq3Xxs,
            "iq3s_grid" => CodeGrid.Iq3S,
            _ => CodeGrid.Iq1,
        };
        var bytes = new byte[grid.Count * grid.Columns];
        for (var i = 0; i < bytes.Length; i++) bytes[i] = (byte)grid.Value(i / grid.Columns, i % grid.Columns);
        Assert.Equal(expected, Convert.ToHexStringLower(SHA256.HashData(bytes)));
    }
}
