using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Keys;

/// <summary>What a request took, for limits and the audit log. Among the request's features where one of them is on.</summary>
sealed class RequestAccount
{
    /// <summary>Of all prompts that were taken on.</summary>
    public int PromptTokens { get; private set; }

    /// <summary>Of all choices.</summary>
    public int CompletionTokens { get; private set; }

    /// <summary>The answer did not come to its end.</summary>
    public bool IsCut { get; set; }

    public int Tokens => PromptTokens + CompletionTokens;

    /// <summary>Null where nobody asks for it.</summary>
    public static RequestAccount? Of(HttpContext http) => http.Features.Get<RequestAccount>();

    /// <summary>The request's own, which is made where it has none.</summary>
    public static RequestAccount Open(HttpContext http)
    {
        if (Of(http) is { } open) return open;
        var account = new RequestAccount();
        http.Features.Set(account);
        return account;
    }

    public void Add(int promptTokens, int completionTokens)
        => (PromptTokens, CompletionTokens) = (PromptTokens + promptTokens, CompletionTokens + completionTokens);
}
