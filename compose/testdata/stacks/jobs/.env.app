SMTP_ADDRESS=smtp.example.com
SMTP_LINE="from: ${RAILS_ENV}"
