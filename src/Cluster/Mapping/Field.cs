using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Cluster.Mapping;

/// <summary>Reads fields of messages. Each method gives the value in the type that the program uses, or says what is wrong with it.</summary>
public static class Field
{
    /// <exception cref="InvalidMessageException">The value is outside <paramref name="least"/>..<paramref name="most"/>.</exception>
    public static int Count(string name, long value, int least, int most) =>
        value >= least && value <= most ? (int)value : throw new InvalidMessageException($"{name} is {value}, not {least} to {most}");

    /// <inheritdoc cref="Count"/>
    public static long Bytes(string name, ulong value, long most) =>
        value <= (ulong)most ? (long)value : throw new InvalidMessageException($"{name} is {value}, more than {most}");

    /// <exception cref="InvalidMessageException">The message is not set.</exception>
    public static T Required<T>(string name, T? value) where T : class => value ?? throw new InvalidMessageException($"{name} is not set");

    /// <exception cref="InvalidMessageException">The text is longer than <paramref name="most"/> characters or holds control characters.</exception>
    public static string Text(string name, string value, int most) =>
        value.Length > most ? throw new InvalidMessageException($"{name} has {value.Length} characters, more than {most}")
        : value.Any(char.IsControl) ? throw new InvalidMessageException($"{name} holds control characters")
        : value;

    public static WorkerId Worker(string name, string value) =>
        WorkerId.IsValid(value) ? new WorkerId(value) : throw new InvalidMessageException($"{name} is not 1 to 64 letters, digits, '-', '_' and '.'");

    public static string Digest(string name, string value) =>
        ModelIdentity.IsDigest(value) ? value : throw new InvalidMessageException($"{name} is not 64 digits of lower-case hex");

    public static Uri Address(string name, string value) =>
        PeerAddress.TryParse(value, out var address) ? address : throw new InvalidMessageException($"{name} is not an address like http://host:port");
}

/// <summary>
/// Something that came from the network is not what the protocol allows. The message is one line that names the field. A service
/// that throws it answers INVALID_ARGUMENT (see <see cref="Rpc.StatusInterceptor"/>).
/// </summary>
public sealed class InvalidMessageException(string message) : Exception(message);
