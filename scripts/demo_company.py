"""Padaria Alicerce, a bakery that sells to shops, hotels and neighbours: what `make seed` puts into a platform.

Names, addresses and documents belong to nobody; the domains are reserved for examples (RFC 2606), and the documents only
have the right check digits.
"""

from typing import Any

# Address, name, role in Ana's tenant (she owns it).
PEOPLE = (
    ("ana@padaria.example", "Ana Souza", None),
    ("bruno@padaria.example", "Bruno Lima", "admin"),
    ("carla@padaria.example", "Carla Nunes", "member"),
    ("davi@padaria.example", "Davi Rocha", "viewer"),
)

# Name, document, address, telephone, stage, tags, city, state.
COMPANIES = (
    ("Mercado São João", "11222333000181", "compras@saojoao.example", "+55 11 3456-7890", "customer", "atacado vip", "São Paulo", "SP"),
    ("Café Aurora", "12ABC34501DE35", "ola@cafeaurora.example", "+55 11 3222-1010", "customer", "varejo", "São Paulo", "SP"),
    ("Hotel Beira-Mar", "33445566000186", "cozinha@beiramar.example", "+55 21 2540-3300", "customer", "hotel", "Rio de Janeiro", "RJ"),
    ("Empório da Serra", "45ALICER000130", "pedidos@emporioserra.example", "+55 54 3281-4400", "customer", "atacado", "Gramado", "RS"),
    ("Restaurante Dona Lúcia", "60A70B80000109", "dona@lucia.example", "+55 31 3333-2020", "customer", "restaurante", "Belo Horizonte", "MG"),
    ("Cantina do Porto", "77112233000100", "cantina@porto.example", "+55 13 3219-5050", "prospect", "restaurante", "Santos", "SP"),
    ("Supermercado Ipê", "88990011000107", "compras@ipe.example", "+55 62 3201-7000", "prospect", "atacado", "Goiânia", "GO"),
    ("Pousada Ventania", "24681357000140", "reservas@ventania.example", "+55 85 3433-8080", "lead", "hotel", "Fortaleza", "CE"),
    ("Escola Caminho Novo", "13579246000101", "merenda@caminhonovo.example", "+55 41 3350-1212", "customer", "escola", "Curitiba", "PR"),
    ("Padoca da Vila", "90CAF3X4000170", "padoca@vila.example", "+55 11 3031-4545", "former", "varejo", "São Paulo", "SP"),
    ("Buffet Três Irmãs", "55667788000186", "festa@tresirmas.example", "+55 51 3223-9090", "customer", "eventos vip", "Porto Alegre", "RS"),
)  # fmt: skip

# The same of persons.
PERSONS = (
    ("Joaquim da Conceição", "52998224725", "joaquim@example.com", "+55 21 98765-4321", "customer", "vizinho", "Niterói", "RJ"),
    ("Márcia Antunes", "11144477735", "marcia@example.com", "+55 31 99876-5432", "lead", "feira", "Belo Horizonte", "MG"),
    ("Renato Gonçalves", "39053344705", "renato@example.com", "+55 11 97654-1234", "customer", "vizinho", "São Paulo", "SP"),
    ("Luiza Fernandes", "16899535009", "luiza@example.com", "+55 11 96543-2100", "customer", "clube", "São Paulo", "SP"),
    ("Tiago Araújo", "87321456080", "tiago@example.com", "+55 71 98888-7070", "prospect", "feira", "Salvador", "BA"),
    ("Beatriz Moura", "24681357928", "beatriz@example.com", "+55 48 99191-3434", "customer", "clube vip", "Florianópolis", "SC"),
    ("Otávio Prado", "97531086484", "otavio@example.com", "+55 19 98787-5656", "lead", "feira", "Campinas", "SP"),
)  # fmt: skip

CATEGORIES = ("Pães", "Doces", "Bebidas", "Serviços")

# Name, SKU, price in reais, category, NCM, what else there is to say.
PRODUCTS: tuple[tuple[str, str, str, str, str | None, dict[str, Any]], ...] = (
    ("Pão de queijo", "PQ-1", "4.50", "Pães", "19059090", {"tags": ["quente"]}),
    ("Pão francês", "PF-1", "0.95", "Pães", "19059090", {"unit": "un"}),
    ("Pão de fermentação natural", "PN-1", "24.00", "Pães", "19059090", {"tags": ["artesanal"]}),
    ("Ciabatta", "CI-1", "9.80", "Pães", "19059090", {}),
    ("Broa de milho", "BM-1", "7.20", "Pães", "19059090", {}),
    ("Croissant", "CR-1", "8.50", "Pães", "19059090", {"tags": ["quente"]}),
    ("Bolo de fubá", "BF-1", "32.00", "Doces", "19059020", {}),
    ("Brigadeiro", "BG-1", "3.50", "Doces", "18069000", {"tags": ["festa"]}),
    ("Sonho", "SO-1", "6.90", "Doces", "19059090", {}),
    ("Torta de limão", "TL-1", "68.00", "Doces", "19059090", {"tags": ["festa"]}),
    ("Café coado", "CF-1", "6.00", "Bebidas", "21011110", {"gtin": "7891000315507"}),
    ("Suco de laranja", "SL-1", "9.00", "Bebidas", "20091900", {}),
    ("Água de coco", "AC-1", "7.50", "Bebidas", "20098990", {}),
    ("Entrega", "EN-1", "12.00", "Serviços", None, {"kind": "service", "unit": "h"}),
    ("Mesa posta para eventos", "EV-1", "45.00", "Serviços", None, {"kind": "service", "unit": "h"}),
    ("Clube do pão", "CL-1", "59.90", "Serviços", None, {"kind": "subscription", "billing_period": "month"}),
)

# How many days ago, with whom, what was done, what was said.
INTERACTIONS = (
    (58, "Mercado São João", "call", "Querem provar antes de comprar: amostra na quinta."),
    (55, "Mercado São João", "visit", "Provaram o pão de queijo; pediram 200 por dia, a partir de segunda."),
    (51, "Buffet Três Irmãs", "email", "Orçamento de 400 brigadeiros e 10 tortas para o dia 12."),
    (47, "Hotel Beira-Mar", "call", "O café da manhã passa a ser às seis: entrega até as cinco."),
    (40, "Café Aurora", "visit", "Trocaram de fornecedor; ficaram conosco pela ciabatta."),
    (33, "Joaquim da Conceição", "whatsapp", "Perguntou pelo horário de domingo."),
    (30, "Escola Caminho Novo", "call", "Sem leite em três merendas: combinar com a nutricionista."),
    (26, "Pousada Ventania", "email", "Pedem preço com frete para Fortaleza."),
    (22, "Restaurante Dona Lúcia", "whatsapp", "Broa de milho só às quartas e sábados."),
    (18, "Luiza Fernandes", "whatsapp", "Entrou para o clube; prefere receber às sextas."),
    (14, "Supermercado Ipê", "visit", "Gôndola perto da entrada; decidem até o fim do mês."),
    (9, "Padoca da Vila", "note", "Fechou as portas. Dívida quitada."),
    (6, "Empório da Serra", "call", "Dobram o pedido para a temporada."),
    (3, "Beatriz Moura", "whatsapp", "Aniversário no sábado: torta de limão para 20."),
    (1, "Mercado São João", "call", "Reclamou de 12 pães queimados; crédito na próxima fatura."),
)

# Due how many days from today, with whom, what kind, how much in centavos, how much of it is paid.
TRANSACTIONS = (
    (-50, "Mercado São João", "receivable", 540_000, 540_000),
    (-44, "Buffet Três Irmãs", "receivable", 208_000, 208_000),
    (-40, "Padoca da Vila", "receivable", 31_500, 31_500),
    (-35, "Hotel Beira-Mar", "receivable", 187_250, 187_250),
    (-28, "Escola Caminho Novo", "receivable", 96_000, 96_000),
    (-21, "Mercado São João", "receivable", 612_000, 612_000),
    (-15, "Café Aurora", "receivable", 58_800, 30_000),
    (-12, "Empório da Serra", "payable", 42_000, 42_000),
    (-8, "Restaurante Dona Lúcia", "receivable", 43_200, 0),
    (-5, "Hotel Beira-Mar", "receivable", 192_400, 0),
    (4, "Escola Caminho Novo", "receivable", 96_000, 0),
    (9, "Mercado São João", "receivable", 598_500, 200_000),
    (12, "Empório da Serra", "receivable", 134_000, 0),
    (20, "Buffet Três Irmãs", "receivable", 88_000, 44_000),
    (0, "Joaquim da Conceição", "income", 1_840, 0),
    (0, "Renato Gonçalves", "income", 4_250, 0),
    (0, "Luiza Fernandes", "income", 5_990, 0),
    (0, "Beatriz Moura", "income", 6_800, 0),
)
