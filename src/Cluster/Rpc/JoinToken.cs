using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// A secret that coordinator and workers of a cluster have in a file. A worker that registers shows that it knows it, and so does the coordinator that
/// takes it in, each by an HMAC-SHA256 of the token over what the registration says. The token itself never travels, and a proof is worth nothing for
/// another worker, address or key. It keeps strangers out; without TLS it hides nothing.
/// </summary>
/// <remarks>
/// A file has one token a line; empty lines and those that begin with # do not count. All are accepted, and the first is shown: to change it, put the new
/// one behind the old one everywhere, then before it, then take the old one away. The file is read whenever somebody registers.
/// </remarks>
public sealed class JoinToken
{
    /// <summary>The header of Register, and the trailer of its answer, with a proof as hex.</summary>
    public const string Header = "llamacluster-join";

    const int Shortest = 16;
    const int Longest = 1024;
    const int MostBytes = 64 << 10;

    static readonly byte[] OfWorker = "llamacluster: a worker asks to be taken in\n"u8.ToArray();
    static readonly byte[] OfCoordinator = "llamacluster: the coordinator takes it in\n"u8.ToArray();

    readonly string _file;
    byte[][] _tokens;

    JoinToken(string file, byte[][] tokens) => (_file, _tokens) = (file, tokens);

    /// <exception cref="IOException">There is no token in the file; the message is one line that names it.</exception>
    public static JoinToken Load(string file) => new(file, Read(file));

    /// <summary>What a worker sends with its registration.</summary>
    public Metadata HeadersFor(RegisterRequest request) => new() { { Header, Prove(Tokens()[0], OfWorker, request) } };

    /// <summary>Why a registration is refused, in one line; null if the worker knows a token.</summary>
    /// <param name="shown">Of its headers.</param>
    /// <param name="answer">By the same token, for the worker.</param>
    public string? ProblemOfWorker(RegisterRequest request, string? shown, out string answer)
    {
        var token = string.IsNullOrEmpty(shown) ? null : TokenOf(shown, OfWorker, request);
        answer = token is null ? "" : Prove(token, OfCoordinator, request);
        return token is not null ? null
            : string.IsNullOrEmpty(shown) ? "the worker shows no join token: start it with the coordinator's, --join-token-file FILE"
            : "the worker's join token is none of the coordinator's: give both the same --join-token-file";
    }

    /// <summary>Why a worker does not stay with a coordinator, in one line; null if that one knows a token.</summary>
    /// <param name="shown">Of the answer's trailers.</param>
    public string? ProblemOfCoordinator(RegisterRequest request, string? shown) =>
        string.IsNullOrEmpty(shown) ? "the coordinator has no join token, and this worker has: start it with the same --join-token-file"
        : TokenOf(shown, OfCoordinator, request) is null ? "the coordinator does not know this worker's join token"
        : null;

    /// <summary>The token by which a proof was made; null if it is none of these. It takes the same time however much of it is right.</summary>
    byte[]? TokenOf(string shown, byte[] purpose, RegisterRequest request)
    {
        var proof = new byte[HMACSHA256.HashSizeInBytes];
        if (shown.Length != 2 * proof.Length || Convert.FromHexString(shown, proof, out _, out _) != OperationStatus.Done) return null;
        byte[]? found = null;
        foreach (var token in Tokens())
            if (CryptographicOperations.FixedTimeEquals(Convert.FromHexString(Prove(token, purpose, request)), proof)) found = token;
        return found;
    }

    static string Prove(byte[] token, byte[] purpose, RegisterRequest request)
    {
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, token);
        hash.AppendData(purpose);
        foreach (var field in new[] { request.Key, request.InstanceId, ByteString.CopyFromUtf8(request.Address), ByteString.CopyFromUtf8(request.Name) })
        {
            hash.AppendData(BitConverter.GetBytes((long)field.Length));
            hash.AppendData(field.Span);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Those in the file now, or those that were there when it could last be used.</summary>
    byte[][] Tokens()
    {
        try
        {
            return _tokens = Read(_file);
        }
        catch (IOException)
        {
            return _tokens;   // being changed, or gone: the tokens that are known stay good
        }
    }

    static byte[][] Read(string file)
    {
        try
        {
            if (new FileInfo(file) is { Exists: true, Length: > MostBytes }) throw new IOException($"has more than {MostBytes} bytes");
            string[] lines = [.. File.ReadAllLines(file).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#')];
            return lines.Length == 0 ? throw new IOException("there is no token in it")
                : lines.Any(line => line.Length is < Shortest or > Longest)
                    ? throw new IOException($"a token must have {Shortest} to {Longest} characters, such as `openssl rand -hex 32` gives")
                : [.. lines.Select(Encoding.UTF8.GetBytes)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"--join-token-file: cannot use {file}: {e.Message.ReplaceLineEndings(" ")}");
        }
    }
}
