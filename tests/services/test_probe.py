from tests.api import add_member
import orjson, base64
def test_x(platform, owner, stranger, service):
    def c(**k):
        a = owner.post("/api/customers/", {"name": "x", **k}); print(str(k)[:90], a.status, str(a.json)[:700] if a.status!=201 else ""); return a
    c(custom={"a": "b\x00c"})
    c(custom={"a": {"k\x00": 1}})
    d = cur = {}
    for _ in range(300): cur["a"] = {}; cur = cur["a"]
    c(custom=d)
    a = owner.post("/api/customers/", data='{"name":"x","custom":{"a":1e999}}', headers={"Content-Type":"application/json"}); print(a)
    a = owner.post("/api/customers/", data='{"name":"x","custom":{"a":123456789012345678901234567890}}', headers={"Content-Type":"application/json"}); print(a.status, a.json["customer"]["custom"])
    a = owner.post("/api/customers/", data='{"name":"x","custom":'+'['*2000+']'*2000+'}', headers={"Content-Type":"application/json"}); print(a)
    print(c(consents={"email": {"granted": True, "at": "2026-01-01T00:00:00Z"}}).json["customer"]["consents"] if 0 else "")
    a=c(consents={"email": {"granted": True, "at": "2026-01-01T00:00:00Z"}}); print(a)
    c(document_type="cpf", document="５２９９８２２４７２５")
    c(document_type="cpf", document="11111111111")
    c(document_type="cnpj", document="00000000000000")
    c(document_type="cnpj", document="11111111111111")
    c(document_type="cnpj", document="12.abc.345/01de-35")
    c(document_type="cnpj", document="１２ABC34501DE35")
    c(document_type="cnpj", document="ßß")
    c(document_type="cnpj", document="AAAAAAAAAAAAAA")
    a = c(document_type="cpf", document="529.982.247-25"); id=a.json["customer"]["id"]
    a = owner.put(f"/api/customers/{id}", {"document_type": None}); print(a)
    a = owner.put(f"/api/customers/{id}", {"consents": {"email": {}}}); print(a.status, a.json)
    a = owner.put(f"/api/customers/{id}", {"addresses": [{"street": "x"}]}); print(a.status, a.json)
    cur = base64.urlsafe_b64encode(orjson.dumps([["id"], [5]])).decode().rstrip("=")
    a = owner.get(f"/api/customers/?sort=id&cursor={cur}"); print(a)
    c(document_type="other", document="AB-12 3")
    print(owner.get("/api/customers/?document=AB-12%203").json["total"])
    print(owner.get("/api/customers/?search=12.ABC.345/01DE-35").json["total"])
    print(owner.get("/api/customers/?email="))
    m = add_member(owner, "viewer")
    row = [x for x in owner.get(f"/api/tenants/{owner.tenant_id}/members").json["members"] if x["user_id"]==m.user_id][0]
    print(owner.put(f"/api/tenants/{owner.tenant_id}/members/{m.user_id}", row | {"role": "member"}))
    print(owner.put(f"/api/tenants/{owner.tenant_id}/members/{m.user_id}", {"role": "member"}, headers={"If-Match": '"1"'}))
    print(owner.put(f"/api/tenants/{owner.tenant_id}/members/{m.user_id}", {"role": "viewer"}, headers={"If-Match": '"1"'}))
