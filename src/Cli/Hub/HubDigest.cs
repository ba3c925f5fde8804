using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Cluster.Hub;

namespace LlamaCluster.Cli.Hub;

/// <summary>
/// What a hub calls a file's content: of a large one the SHA-256, of a small one the id of its git object, which is the SHA-1 of
/// <c>blob SIZE\0</c> and the content.
/// </summary>
sealed class HubDigest : IDisposable
{
    readonly IncrementalHash _hash;
    readonly string _expected;

    public HubDigest(HubFile file)
    {
        _expected = file.Hash;
        if (file.Hash.Length == HubNames.Sha256Characters)
        {
            _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            return;
        }
        _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        _hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {file.Size}\0")));
    }

    public void Append(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

    /// <summary>Whether all that was appended is the file.</summary>
    public bool IsRight() => Convert.ToHexStringLower(_hash.GetHashAndReset()) == _expected;

    public void Dispose() => _hash.Dispose();
}
