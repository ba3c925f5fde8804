using System.Diagnostics.CodeAnalysis;

namespace LlamaCluster.Coordinator.Api;

/// <summary>A value, or the error to answer with.</summary>
readonly struct ApiOutcome<T> where T : class
{
    readonly T? _value;
    readonly ApiError? _error;

    ApiOutcome(T? value, ApiError? error) => (_value, _error) = (value, error);

    public static implicit operator ApiOutcome<T>(T value) => new(value, null);

    public static implicit operator ApiOutcome<T>(ApiError error) => new(null, error);

    public bool Failed([NotNullWhen(true)] out ApiError? error, [NotNullWhen(false)] out T? value)
    {
        (error, value) = (_error, _value);
        return error is not null;
    }
}
