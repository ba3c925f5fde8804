namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>
/// What is found while a request is read: the first thing that is wrong with it, the fields that have no effect, and values that were read as
/// others. Readers go on after an error with default values, so that rules read as a list.
/// </summary>
/// <param name="strict">A field that has no effect is an error.</param>
sealed class Findings(bool strict)
{
    /// <summary>Names that are kept of one request. The rest is only said to be there.</summary>
    const int MostNames = 24;

    /// <summary>Stands for the names that were not kept.</summary>
    const string More = "...";

    readonly List<string> _ignored = [];
    readonly List<string> _adjusted = [];

    public ApiError? Error { get; private set; }

    /// <summary>Fields that have no effect, each named once, as a header can say it: "messages[].cache_control".</summary>
    public IReadOnlyList<string> Ignored => _ignored;

    /// <summary>Fields whose values were replaced, with what they were read as: "top_p=1".</summary>
    public IReadOnlyList<string> Adjusted => _adjusted;

    public void Add(ApiError error) => Error ??= error;

    /// <param name="name">The field's name without the numbers of elements, so that a field of each message is one name.</param>
    /// <param name="refusal">What a strict reader says of it.</param>
    public void Ignore(string name, ApiError refusal)
    {
        if (strict) Add(refusal);
        else Keep(name, _ignored);
    }

    public void Adjust(string name, string value) => Keep($"{name}={value}", _adjusted);

    static void Keep(string name, List<string> names)
    {
        var plain = Plain(names.Count < MostNames ? name : More);
        if (!names.Contains(plain)) names.Add(plain);
    }

    /// <summary>Headers and log lines take visible ASCII; a comma would part a name in two.</summary>
    public static string Plain(string name) => string.Concat(name.Select(letter => letter is > ' ' and <= '~' and not ',' ? letter : '?'));
}
