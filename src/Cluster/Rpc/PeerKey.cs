using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// A secret that two processes of the cluster share: 32 random bytes. A caller shows it in the headers of its calls, and is then taken for the
/// process that the key was given to. Ids such as w1 can be guessed; keys cannot.
/// </summary>
public sealed class PeerKey
{
    public const int Length = 32;

    /// <summary>The header that a caller shows its key in, as hex.</summary>
    public const string Header = "llamacluster-key";

    /// <summary>The header in which a worker says who it is, where it shows its key to the coordinator.</summary>
    public const string WorkerHeader = "llamacluster-worker";

    /// <summary>The purpose of the key that one worker shows another when it measures the way there (see <see cref="For"/>).</summary>
    public const string LinkMeter = "link measurement";

    /// <summary>The purpose of the key that one worker shows another when it fetches KV of layers that it has got.</summary>
    public const string KvTransfer = "KV transfer";

    /// <summary>The purpose of the key that one worker shows another when it fetches parts of the model's weights.</summary>
    public const string Weights = "weights";

    readonly byte[] _bytes;

    PeerKey(byte[] bytes) => _bytes = bytes;

    public static PeerKey Create() => new(RandomNumberGenerator.GetBytes(Length));

    /// <exception cref="InvalidMessageException">It has not the length of a key.</exception>
    public static PeerKey Read(string field, ByteString bytes) =>
        bytes.Length == Length ? new PeerKey(bytes.ToByteArray()) : throw new InvalidMessageException($"{field} has {bytes.Length} bytes, not {Length}");

    public ByteString ToMessage() => ByteString.CopyFrom(_bytes);

    /// <summary>The headers of a call to a process that knows this key.</summary>
    /// <param name="worker">The caller, where the coordinator is called.</param>
    public Metadata ToHeaders(WorkerId? worker = null)
    {
        Metadata headers = new() { { Header, Convert.ToHexStringLower(_bytes) } };
        if (worker is { } id) headers.Add(WorkerHeader, id.Value);
        return headers;
    }

    /// <summary>Whether the header's text is this key. It takes the same time however much of it is right.</summary>
    public bool Matches(string? shown)
    {
        if (shown is not { Length: 2 * Length }) return false;
        Span<byte> bytes = stackalloc byte[Length];
        return Convert.FromHexString(shown, bytes, out _, out _) == OperationStatus.Done
            && CryptographicOperations.FixedTimeEquals(bytes, _bytes);
    }

    /// <summary>Whether both are one key. It takes the same time however much of it is the same.</summary>
    public bool IsSame(PeerKey other) => CryptographicOperations.FixedTimeEquals(_bytes, other._bytes);

    /// <summary>Another key, which whoever has this one can make, and which tells nothing of this one.</summary>
    public PeerKey For(string purpose) => new(HMACSHA256.HashData(_bytes, Encoding.ASCII.GetBytes($"key for {purpose}")));

    /// <summary>What only a process with this key can answer to a challenge (HMAC-SHA256).</summary>
    public ByteString Prove(ByteString challenge) => ByteString.CopyFrom(HMACSHA256.HashData(_bytes, (byte[])[.. "proof of "u8, .. challenge.Span]));

    public bool IsProven(ByteString challenge, ByteString proof) => CryptographicOperations.FixedTimeEquals(Prove(challenge).Span, proof.Span);

    /// <summary>Never the bytes: records that hold a key are logged.</summary>
    public override string ToString() => "(secret)";
}
